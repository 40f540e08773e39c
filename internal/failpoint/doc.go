// Package failpoint lets a test end or freeze the program at a step of its
// work. Only a build with the tag failpoints can do so; in every other, Hit is
// empty and the compiler leaves it out.
package failpoint
