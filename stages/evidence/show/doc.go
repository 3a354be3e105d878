// Package show shows an evidence log to people: as a table that can follow a
// log while it is written, and as one self-contained page.
//
// The package promises:
//
//   - What a line is marked with is what the verifier says of it. A damaged line
//     is seen in its place, whatever the filter, and reading goes on after it.
//   - Text of the log stays text. What a terminal or a browser would obey, and
//     what nobody would see, is escaped: control characters, those that change
//     the direction of writing, those without a width.
//   - The page needs nothing from elsewhere and runs nothing: it holds no script,
//     and its policy forbids every request.
//   - Memory does not grow with the log. Where a list is cut, it says so.
//
// It shows what the log says. Whether the log is whole only the verifier and a
// checkpoint kept elsewhere can tell.
package show
