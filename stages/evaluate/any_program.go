package evaluate

import (
	"slices"
	"strings"
)

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
	if hasVersion(name) {
		if p := rows[withoutVersion(name)]; p != nil {
			return p
		}
	}
	if specials[name] || namers[name] {
		return nil
	}
	return anyProgram
}

// copied notes that all words are read but the last, which is written: unless it is
// the output, or stands for another machine to this very program. To any other one
// "s3://../b" may be a file of this machine.
func (s scope) copied(name string, words []string) {
	last := len(words) - 1
	to := words[last]
	elsewhere := to == "-"
	switch name {
	case "aws":
		elsewhere = elsewhere || strings.HasPrefix(to, "s3://") && !slices.Contains(words, "get-object") && !slices.Contains(words, "invoke")
	case "gcloud", "gsutil":
		elsewhere = elsewhere || strings.HasPrefix(to, "gs://") || strings.HasPrefix(to, "s3://")
	}
	if elsewhere {
		s.use(&program{words: wordsRead | wholeTrees}, words[:last])
		return
	}
	s.use(&program{words: wordsPlaced | wholeTrees}, words)
}

// fileSign is what tells an aws that a value, at the beginning of a word or behind a
// "=", is the name of a file.
var fileSign = strings.NewReplacer("\nfile://", "\n", "\nfileb://", "\n", "=file://", "=", "=fileb://", "=")

// withoutFileSign is the arguments of an aws with the names of files alone.
func withoutFileSign(args []shellWord) []shellWord {
	args = slices.Clone(args)
	for i := range args {
		args[i].text = fileSign.Replace("\n" + args[i].text)[1:]
	}
	return args
}
