package mail

import "countersign/workflow"

// VERP writes the id of an email as it stands in a return path.
func VERP(id workflow.MailID) string { return verp(id) }

// UnVERP reads it.
func UnVERP(s string) workflow.MailID { return unverp(s) }
