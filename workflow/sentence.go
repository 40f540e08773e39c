package workflow

// sentence returns a text that the rules write for people: the message of a
// problem, the reason of a document that failed, a line of a history. No decision
// may depend on it. Tests replace the function (internal/test/reword), so that
// every sentence is another one, and check that all decisions stay the same.
var sentence = func(text string) string { return text }
