package evaluate

import "strings"

// anyProgram is what is taken of a program that is not known.
var anyProgram = &program{words: wordsMaybe}

// looksLikeFile reports whether a word is taken for a file where that is not known.
// One with a blank is rather a text.
func looksLikeFile(word string) bool {
	return holdsFile(word) && !strings.ContainsAny(word, " \t\n")
}

// holdsFile reports whether a word of a text may look like a file.
func holdsFile(text string) bool {
	return strings.IndexByte(text, '.') >= 0 || strings.IndexByte(text, '/') >= 0
}

// namers are programs of which it is known that they do not read the files that
// they name.
var namers = setOf("echo printf test [ true false : ls stat tree du df basename dirname realpath readlink which whereis type kill pkill pgrep ps date " +
	"sleep export unset set read local exit return shift ulimit umask wait jobs fg bg id whoami hostname uname seq expr tr ping dig host nslookup open code")

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// programOf is what is known of a program, by its name or by that without a
// version; nil where nothing needs to be.
func programOf(name string) *program {
	rows := programs()
	if p := rows[name]; p != nil {
		return p
	}
	if endsInDigit(name) {
		if p := rows[withoutVersion(name)]; p != nil {
			return p
		}
	}
	if specials[name] || namers[name] {
		return nil
	}
	return anyProgram
}
