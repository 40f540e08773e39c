package ticket

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"countersign/internal/private"
)

// pruneMargin is how much longer a key is kept than its last link can be valid,
// because another worker's copy of the file may have been changed later.
const pruneMargin = 24 * time.Hour

// LinkKey is a key of the links as an operator sees it. It holds no secret.
type LinkKey struct {
	ID      string    `json:"id"`                    // 8 hex digits
	Created time.Time `json:"date_created,omitzero"` // zero if the file does not say
	From    time.Time `json:"date_from,omitzero"`    // it signs links from this time
	Until   time.Time `json:"date_until,omitzero"`   // a newer key signs from this time; zero if there is none, or if its time is not known
}

// ListKeys lists the keys of the links, the newest first. It does not create
// the file. The error names the file and the fix.
func ListKeys(path string) ([]LinkKey, error) {
	data, err := private.Read(path, maxFileLen)
	if err == nil {
		_, err = parseKeys(data)
	}
	var f file
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no keys file at %s: check that --data-dir or --keys-file is the worker's", path)
	case err != nil:
		return nil, fmt.Errorf("read the keys file %s: %w", path, err)
	}
	return linkKeys(f.Links), nil
}

func linkKeys(links []fileKey) []LinkKey {
	out := make([]LinkKey, len(links))
	var until time.Time // when the first of the newer ones began to sign
	known := true
	for i, l := range links {
		id := newKey(l.Key).id
		from := l.From
		if from.IsZero() {
			from = l.Created
		}
		out[i] = LinkKey{ID: hex.EncodeToString(id[:]), Created: l.Created, From: from}
		if i > 0 && known {
			out[i].Until = until
		}
		known = known && !from.IsZero()
		if until.IsZero() || from.Before(until) {
			until = from
		}
	}
	return out
}

// Rotate puts a fresh key in front, which signs links from the given time;
// until then the file can be copied to other workers. Existing links stay
// valid.
func Rotate(path string, now, from time.Time) (LinkKey, error) {
	var added LinkKey
	err := change(path, func(links []fileKey) ([]fileKey, error) {
		fresh := fileKey{Key: newSecret(), Created: now.UTC().Truncate(time.Second)}
		if from.After(now) {
			fresh.From = from.UTC().Truncate(time.Second)
		}
		links = append([]fileKey{fresh}, links...)
		added = linkKeys(links)[0]
		return links, nil
	})
	return added, err
}

// Prune removes the keys that can no longer verify a valid link, and returns
// them: a newer key has been signing for longer than a link can live, plus one
// day. A key is kept if the time of the next newer key is not known.
func Prune(path string, now time.Time, lifetime time.Duration) (gone []LinkKey, err error) {
	err = change(path, func(links []fileKey) ([]fileKey, error) {
		var kept []fileKey
		for i, k := range linkKeys(links) {
			if Prunable(k, now, lifetime) {
				gone = append(gone, k)
			} else {
				kept = append(kept, links[i])
			}
		}
		return kept, nil
	})
	return gone, err
}

// ListPrunable returns the keys that Prune would remove.
func ListPrunable(path string, now time.Time, lifetime time.Duration) ([]LinkKey, error) {
	keys, err := ListKeys(path)
	return slices.DeleteFunc(keys, func(k LinkKey) bool { return !Prunable(k, now, lifetime) }), err
}

// Prunable reports whether no valid link can have been made with the key.
func Prunable(k LinkKey, now time.Time, lifetime time.Duration) bool {
	return !k.Until.IsZero() && now.After(k.Until.Add(lifetime+pruneMargin))
}

// change replaces the keys of the links in the file by what edit makes of them.
func change(path string, edit func([]fileKey) ([]fileKey, error)) error {
	if _, err := ListKeys(path); err != nil { // do not change a file that is damaged
		return err
	}
	err := rewrite(path, func(kinds map[string]json.RawMessage) error {
		var links []fileKey
		err := json.Unmarshal(kinds["links"], &links)
		if err == nil {
			links, err = edit(links)
		}
		if err == nil {
			kinds["links"], err = json.Marshal(links)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("change the keys file %s: %w: the file and its directory must be writable", path, err)
	}
	return nil
}
