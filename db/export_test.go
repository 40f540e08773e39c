package db

import "countersign/workflow"

// OnFold has f called before an entry is decided, until the returned function
// is called.
func OnFold(f func(workflow.Entry)) (restore func()) {
	before := onFold
	onFold = f
	return func() { onFold = before }
}
