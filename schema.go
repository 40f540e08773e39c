// Package countersign gets letters of authorization signed; README.md has the
// tour. The package itself only carries schema.sql, which Go cannot embed from
// a folder below it.
package countersign

import _ "embed"

// Schema is the database as sqlc reads it. A new database is made by the
// migrations in db/migrations; a test holds the two to the same schema.
//
//go:embed schema.sql
var Schema string
