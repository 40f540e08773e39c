// Package browser tests the signing page in a real browser, from the mail to
// the answer, and holds every state of it to axe-core's rules of
// accessibility. It is a module of its own, so that a browser's driver is
// nobody's dependency.
package browser
