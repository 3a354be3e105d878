package evaluate

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

// A program is what is known of the arguments of a command: which of them it
// runs, reads and writes. Options are listed as they are written, with their
// dashes; each takes a value. GNU lets a long one be cut short and letters be
// written together, and so does the search for them: what is found too much is
// put to approval.
type program struct {
	words  use    // what the words that are no options are
	runs   string // options whose value is a command
	reads  string // options whose value is a file, or names one behind "=", "@", ":" or ","
	writes string
	moves  string // options whose value is the directory to work in
	refuse string // options that make it run or open what cannot be seen
	hints  string // texts that mean the same wherever in an argument they stand, in small letters
	// subs are subcommands, with "_" between their words, that run something else
	// or settle what it runs from then on.
	subs string
	// single options have one dash and are never written together.
	single bool
	// ends at "--": what follows is for another program.
	ends bool
	// plus says that a word that begins with "+" is a command of its own.
	plus bool
	// starts says that it runs what some of its words say, which ones is not known.
	starts bool
	copies string // words with which all others are read but the last, which is written
	// goals says that each word is something to do by itself, as if it stood alone.
	goals bool
	// scripts says that what it reads from its input is looked at for the hints.
	scripts bool
}

// A use says what a program does with the files that its words name.
type use uint8

const (
	wordsRead use = 1 << iota
	wordsWritten
	wordsPlaced  // all words are read but the last, which is written
	afterProgram // the first word is no file, unless an option holds what it would be
	wholeTrees   // a directory is taken with all that is in it
	wordsMaybe   // the words that look like files are read
)

// programs are the commands of which more is known than their words. A row is put
// in where something that people allow, by name and a star, can run another
// command or touch a file that no pattern on the command line would show. Words
// that are no files are looked at all the same: one too many costs little.
var programs = sync.OnceValue(func() map[string]*program {
	rows := map[string]*program{
		"curl": {
			words: wordsRead, refuse: "-K --config --engine --proto-default --unix-socket --abstract-unix-socket -J --remote-header-name", hints: "%output{",
			reads:  "-T --upload-file -F --form -d --data --data-binary --data-urlencode --data-ascii --json -b --cookie -E --cert --key --cacert --netrc-file --url-query",
			writes: "-o --output -D --dump-header -c --cookie-jar --trace --trace-ascii --stderr --output-dir --hsts --etag-save --libcurl --alt-svc",
		},
		"wget": {
			refuse: "-e --execute --use-askpass --config -i --input-file",
			reads:  "--post-file --body-file --load-cookies --ca-certificate --certificate --private-key",
			writes: "-O --output-document -o --output-file -a --append-output -P --directory-prefix --save-cookies --warc-file",
		},
		"tar": {
			words: wordsRead | wholeTrees, refuse: "-T --files-from",
			runs:   "-I --use-compress-program --to-command -F --info-script --new-volume-script --rsh-command --rmt-command --checkpoint-action",
			writes: "-C --directory --one-top-level -g --listed-incremental --index-file", moves: "-C --directory",
		},
		"zip":   {words: wordsRead | wholeTrees, runs: "-TT --unzip-command", refuse: "-@ --names-stdin"},
		"unzip": {words: wordsRead, writes: "-d"},
		"rsync": {
			words: wordsPlaced | wholeTrees, runs: "-e --rsh --rsync-path", refuse: "--files-from",
			writes: "--log-file --backup-dir --partial-dir --temp-dir --write-batch",
		},
		"scp":     {words: wordsPlaced | wholeTrees, runs: "-S -D", refuse: "-F", hints: "command provider"},
		"ssh":     {writes: "-E"}, // for the rest see wrappers
		"sftp":    {runs: "-S -D", refuse: "-F -b", hints: "command provider"},
		"sort":    {words: wordsRead, runs: "--compress-program", writes: "-o --output", refuse: "--files0-from"},
		"wc":      {words: wordsRead, refuse: "--files0-from"},
		"du":      {refuse: "--files0-from"},
		"split":   {words: wordsPlaced, runs: "--filter"},
		"csplit":  {words: wordsRead, writes: "-f --prefix"},
		"less":    {plus: true, words: wordsRead, writes: "-o -O --log-file", refuse: "-k --lesskey-file --lesskey-src --lesskey-content"},
		"man":     {runs: "-P --pager -H --html", refuse: "-C --config-file"},
		"bat":     {words: wordsRead, runs: "--pager"},
		"cp":      {words: wordsPlaced | wholeTrees, writes: "-t --target-directory"},
		"install": {words: wordsPlaced, runs: "--strip-program", writes: "-t --target-directory"},
		"mv":      {words: wordsPlaced | wholeTrees | wordsWritten, writes: "-t --target-directory"},
		"ln":      {words: wordsPlaced | wholeTrees, writes: "-t --target-directory"},
		"grep":    {words: wordsRead | afterProgram | wholeTrees, reads: "-f --file"},
		"rg":      {words: wordsRead | afterProgram | wholeTrees, reads: "-f --file", runs: "--pre --hostname-bin"},
		"ag":      {words: wordsRead | afterProgram | wholeTrees, runs: "--pager"},
		"jq":      {words: wordsRead | afterProgram},
		"yq":      {words: wordsRead | afterProgram, hints: "load("},
		"fd":      {runs: "-x --exec -X --exec-batch"},
		"make":    {goals: true, refuse: "--eval -E", reads: "-f --file --makefile", moves: "-C --directory", hints: "$( ${ `"},
		"go": {single: true, runs: "-exec -toolexec -vettool", refuse: "-overlay -w", hints: "-extld", moves: "-C", reads: "-modfile -pgo",
			writes: "-o -coverprofile -cpuprofile -memprofile -blockprofile -mutexprofile -trace -outputdir -modfile -pkgdir -gocoverdir " +
				"-test.coverprofile -test.cpuprofile -test.memprofile -test.blockprofile -test.mutexprofile -test.trace -test.outputdir -test.gocoverdir"},
		"cargo": {refuse: "--config", reads: "--manifest-path", writes: "--target-dir --artifact-dir --out-dir --lockfile-path --root"},
		"pip": {
			words: wordsMaybe, reads: "-r --requirement -c --constraint --cert --client-cert", refuse: "--python --config-settings --global-option --editor",
			writes: "--log -d --dest -w --wheel-dir -t --target --report --root --prefix --src --cache-dir", subs: "config_set config_edit",
		},
		"aws":     {words: wordsMaybe | wholeTrees, copies: "cp mv sync get-object invoke"},
		"az":      {words: wordsMaybe},
		"gcloud":  {words: wordsMaybe | wholeTrees, copies: "cp mv rsync scp", runs: "--command", refuse: "--flags-file"},
		"apt-get": {words: wordsMaybe, refuse: "-o --option -c --config-file"},
		"psql": { // a backslash begins a command of its own; those that run nothing and open no file are left out
			words: wordsMaybe, reads: "-f --file", writes: "-o --output -L --log-file", scripts: true,
			hints: `\! \copy \i \o \g \w \e \s \lo_ \cd program pg_read pg_ls lo_import lo_export`,
		},
		"mysql": {
			words: wordsMaybe, refuse: "--defaults-file --defaults-extra-file --pager --plugin-dir", writes: "--tee", scripts: true,
			hints: `\! \. \p \t system source outfile dumpfile infile load_file`,
		},
		"gcc": {writes: "-o", hints: "-wrapper -fplugin -specs"},
		"npm": {
			ends: true, runs: "-c --call", reads: "--cafile", writes: "--cache --logs-dir --pack-destination", subs: "config_set config_edit confi_set confi_edit conf_set conf_edit c_set c_edit set edit edi explore explor explo expl exp",
			refuse: "--script-shell --prefix -C --shell --node-options --userconfig --globalconfig --editor --viewer --git --browser --init-module --onload-script",
		},
		"npx":       {starts: true, runs: "-c --call"},
		"yarn":      {ends: true, runs: "--script-shell", refuse: "--cwd --use-yarnrc"},
		"terraform": {single: true, reads: "-var-file -state -backend-config -plan", writes: "-state-out -backup -out -generate-config-out -junit-xml", moves: "-chdir", words: wordsMaybe, refuse: "-plugin-dir -from-module"},
		"kubectl": { // -o and --template may name a file, too
			words: wholeTrees, starts: true, copies: "cp", refuse: "--kubeconfig", writes: "--profile-output --cache-dir",
			reads: "-f --filename --from-file --from-env-file -k --kustomize -o --output --template --certificate-authority --client-certificate --client-key --patch-file",
		},
		"helm": {
			words: wordsMaybe | wholeTrees, runs: "--post-renderer", reads: "-f --values --set-file --keyring", refuse: "--kubeconfig",
			writes: "--output-dir -d --destination --untardir", subs: "plugin_install plugin_update",
		},
		"docker": {
			words: wordsRead | wholeTrees, starts: true, reads: "-v --volume --mount --env-file -f --file --secret --build-context", refuse: "--privileged --cap-add --device --security-opt --pid --userns",
			hints:  "--volumes-from", // --volumes is not that one cut short
			copies: "cp export import",
			writes: "-o --output --cidfile --iidfile --metadata-file --cache-to",
		},
		"gh": {
			words: wordsRead, reads: "-F --body-file --input -T --template --recover --notes-file -f --env-file --field", writes: "-O --output -D --dir",
			subs: "alias extension extensions ext config_set codespace cs",
		},
		"pytest": {
			words: wordsRead, reads: "-c --config-file",
			writes: "--junitxml --junit-xml --basetemp --log-file --debug --report-log --html --csv --cov-report -o --override-ini",
		},
		"ruff":                   {words: wordsRead, reads: "--config", writes: "-o --output-file --cache-dir"},
		"json.tool":              {words: wordsPlaced},
		"zipfile":                {words: wordsRead | wholeTrees, writes: "-c --create", copies: "-e --extract"},
		"openssl":                {single: true, words: wordsRead, refuse: "-config -engine -provider-path -provider", reads: "-in -key -inkey -cert -CAfile -kfile -pass -passin", writes: "-out -keyout -writerand"},
		"gpg":                    {words: wordsRead, writes: "-o --output", runs: "--agent-program --dirmngr-program --photo-viewer --keyserver-options"},
		"sqlite3":                {words: wordsRead, hints: ".shell .system .load", refuse: "-cmd -init"},
		"patch":                  {words: wordsWritten, reads: "-i --input", writes: "-o --output", moves: "-d --directory"},
		"su":                     {runs: "-c --command --session-command"},
		"script":                 {words: wordsWritten, runs: "-c --command"},
		"nc":                     {runs: "-e -c --exec --sh-exec --lua-exec"},
		"socat":                  {hints: "exec: system: shell:"},
		"mapfile":                {runs: "-C"},
		"complete":               {runs: "-C -F"},
		"tcpdump":                {runs: "-z", writes: "-w"},
		"gzip":                   {words: wordsRead | wordsWritten | wholeTrees},
		"emacs":                  {plus: true, words: wordsRead, refuse: "--eval --load -l -f --funcall --script"},
		"vim":                    {plus: true, words: wordsRead, refuse: "-c --cmd -S -s -u -w -W -i"},
		"git clone":              {words: wordsWritten | wholeTrees, writes: "--separate-git-dir", refuse: "-c --config -u --upload-pack --template"},
		"git grep":               {words: wordsRead | afterProgram | wholeTrees, runs: "-O --open-files-in-pager", reads: "-f"},
		"git log":                {words: wordsRead | wholeTrees, reads: "-L"},
		"git worktree":           {words: wordsWritten | wholeTrees},
		"git rebase":             {runs: "-x --exec"},
		"git commit":             {reads: "-F --file -t --template"},
		"git archive":            {words: wordsRead | wholeTrees, writes: "-o --output", refuse: "--exec"},
		"git format-patch":       {reads: "--signature-file --description-file", writes: "-o --output-directory"},
		"git blame":              {words: wordsRead, reads: "--contents --ignore-revs-file -S"},
		"git merge":              {reads: "-F --file"},
		"git init":               {words: wordsWritten | wholeTrees, refuse: "--template", writes: "--separate-git-dir"},
		"git submodule":          {words: wordsWritten | wholeTrees},
		"git merge-file":         {words: wordsRead | wordsWritten},
		"git interpret-trailers": {words: wordsRead | wordsWritten, reads: "-F --file"},
		"git checkout-index":     {words: wordsRead | wordsWritten, writes: "--prefix"},
		"git read-tree":          {writes: "--index-output --prefix"},
		"git index-pack":         {writes: "-o"},
		"git fast-export":        {writes: "--export-marks"},
		"git bugreport":          {writes: "-o --output-directory"},
		"git mailsplit":          {words: wordsRead, writes: "-o"},
		"git am":                 {words: wordsRead, writes: "--directory"},
		"git config":             {reads: "-f --file"}, // for the rest see gitConfig
		"git credential-store":   {reads: "--file", writes: "--file"},
		"git difftool":           {words: wordsRead, runs: "-x --extcmd"},
		"git apply":              {words: wordsRead, writes: "--directory"},
		"git filter-branch": {
			runs: "--tree-filter --index-filter --msg-filter --env-filter --parent-filter --commit-filter --tag-name-filter --setup",
		},
	}
	rows["git tag"], rows["git notes"] = rows["git commit"], rows["git commit"]
	rows["git fast-import"], rows["git diagnose"] = rows["git fast-export"], rows["git bugreport"]
	same := map[string]string{
		"tar": "gtar bsdtar", "grep": "egrep fgrep zgrep", "ag": "ack pt ugrep", "less": "more most view", "bat": "batcat", "fd": "fdfind", "make": "gmake",
		"gcc": "cc c++ g++ clang clang++", "npm": "pnpm bun", "npx": "pnpx bunx", "docker": "podman nerdctl", "kubectl": "oc", "vim": "vi nvim ex gvim vimdiff ed nano",
		"gzip": "bzip2 xz zstd lz4 compress gunzip bunzip2 unxz unzstd", "nc": "ncat netcat", "gpg": "gpg2", "mapfile": "readarray", "complete": "compgen",
		"terraform": "tofu terragrunt", "scp": "pscp", "pytest": "py.test", "zipfile": "tarfile", "aws": "gsutil", "apt-get": "apt", "mysql": "mariadb",
	}
	for name, others := range same {
		for other := range strings.FieldsSeq(others) {
			rows[other] = rows[name]
		}
	}
	for words, names := range map[use]string{
		wordsRead: "cat tac head tail nl od xxd hexdump hd strings base64 base32 cut paste cmp comm rev fold fmt pr column expand unexpand join look shuf tsort " +
			"source . zcat bzcat xzcat zless xmllint iconv envsubst m4 cksum sum b2sum md5sum sha1sum sha256sum sha512sum mail " +
			"git&add git&stage git&update-index git&fmt-merge-msg git&annotate git&cat-file git&whatchanged git&hash-object git&diff-tree git&diff-index git&diff-files",
		wordsRead | wholeTrees:    "diff colordiff git&show git&diff",
		wordsPlaced:               "uniq",
		wordsWritten:              "tee touch truncate sponge mkdir rmdir unlink mkfifo mknod git&checkout git&switch git&bundle git&mailinfo git&pack-objects git&stash",
		wordsWritten | wholeTrees: "rm shred chmod chown chgrp setfacl chattr git&rm git&mv git&clean git&restore",
	} {
		for name := range strings.FieldsSeq(names) {
			rows[strings.ReplaceAll(name, "&", " ")] = &program{words: words}
		}
	}
	for name := range strings.FieldsSeq("poetry uv uvx pipenv pipx bundle hatch tox nox mise asdf direnv nix nix-shell tmux screen expect vagrant") {
		rows[name] = &program{starts: true}
	}
	for name := range strings.FieldsSeq("just task rake ninja gradle gradlew mvn mvnw ant") {
		rows[name] = &program{goals: true}
	}
	return rows
})

// searchers look through the directory that they stand in where they are given none.
var searchers = []string{"grep", "egrep", "fgrep", "rg", "ag", "ack", "ugrep", "git grep"}

// starters are the subcommands by which a program that ends at "--" runs any other.
var starters = []string{"exec", "exe", "x", "dlx"}

// arguments looks at the arguments of a command by what is known of it.
func (s scope) arguments(name string, p *program, args []shellWord) {
	if name == "tar" && len(args) > 0 && !strings.HasPrefix(args[0].text, "-") {
		args = slices.Clone(args)
		args[0].text = "-" + args[0].text // its first word holds options
	}
	if name == "aws" {
		args = withoutFileSign(args)
	}
	first := p.words&afterProgram != 0
	var words []string
	for i, a := range args {
		text := a.text
		if text == "--" && p.ends {
			break
		}
		if p.hinted(text) {
			s.doubt("an argument of " + quote(name) + " that can make it run something else")
		}
		if p.plus && strings.HasPrefix(text, "+") && strings.Trim(text[1:], "0123456789FG") != "" {
			s.doubt("an argument of " + quote(name) + " that can make it run something else")
		}
		if len(text) < 2 || text[0] != '-' {
			words = append(words, text)
			continue
		}
		if first && strings.ContainsAny(text, "ef") {
			first = false // what the first word would be may stand in an option
		}
		s.option(name, p, args, i)
	}
	if p.scripts && s.input != nil && p.hinted(s.input.script) {
		s.doubt("an input of " + quote(name) + " that can make it run something else")
	}
	if copies := strings.Fields(p.copies); len(words) > 0 && slices.ContainsFunc(args, func(a shellWord) bool { return slices.Contains(copies, a.text) }) {
		s.copied(name, words)
	}
	if first && len(words) > 0 {
		words = words[1:]
	}
	if len(words) == 0 && slices.Contains(searchers, name) {
		words = []string{"."}
	}
	if p.words&wordsMaybe != 0 {
		var files []string
		for _, w := range words {
			if looksLikeFile(w) {
				files = append(files, w)
			}
		}
		s.use(p, files)
	} else {
		s.use(p, words)
	}
	if p.subcommand(args, words) {
		s.doubt("a subcommand of " + quote(name) + " that runs something else, or settles what it runs")
		s.suspect(args)
	}
	if p.starts || p.ends && len(args) > 0 && slices.Contains(starters, args[0].text) {
		s.suspect(args)
	}
}

// subcommand reports whether the words, which are the arguments without options,
// begin with one of subs. Behind an option, of which the value may be a word, they
// are looked for anywhere.
func (p *program) subcommand(args []shellWord, words []string) bool {
	for i := range words {
		if i > 0 && !strings.HasPrefix(args[0].text, "-") {
			return false
		}
		for sub := range strings.FieldsSeq(p.subs) {
			if words[i] == sub || i+1 < len(words) && words[i]+"_"+words[i+1] == sub {
				return true
			}
		}
	}
	return false
}

// option looks at the option args[i].
func (s scope) option(name string, p *program, args []shellWord, i int) {
	if p.find(args, i, p.refuse) != nil {
		s.doubt("an option of " + quote(name) + " that can make it run or open something else")
	}
	for _, value := range p.find(args, i, p.runs) {
		s.doubt("an option of " + quote(name) + " that runs a command")
		s.inNewShell().script(value)
	}
	for _, value := range p.find(args, i, p.reads) {
		s.reads = append(s.reads, filesIn(value)...)
		if p.words&wholeTrees != 0 {
			s.readTrees = append(s.readTrees, filesIn(value)...)
		}
	}
	for _, value := range p.find(args, i, p.writes) {
		if s.writes = append(append(s.writes, value), filesIn(value)...); p.words&wordsPlaced != 0 { // into a directory
			for _, a := range args {
				s.writes = append(s.writes, path.Join(value, path.Base(a.text)))
			}
		}
		s.writeTrees = append(append(s.writeTrees, value), filesIn(value)...)
	}
	for _, value := range p.find(args, i, p.moves) {
		s.move([]shellWord{{text: value, static: args[i].static && args[min(i+1, len(args)-1)].static}})
	}
	if p.words&(wordsRead|wordsPlaced|wordsMaybe) == 0 || strings.HasPrefix(name, "git ") || p.words&wordsMaybe != 0 && !looksLikeFile(args[i].text) {
		return
	}
	// Any other option of what reads files may hold one.
	if _, value, ok := strings.Cut(args[i].text, "="); ok {
		s.reads = append(s.reads, filesIn(value)...)
	} else if value := afterOption(args[i].text); value != "" {
		s.reads = append(s.reads, filesIn(value)...)
	}
}

// find is the values that args[i] may give to options of the list: where it is
// one, what stands in it behind the name, or else the next word.
func (p *program) find(args []shellWord, i int, list string) (values []string) {
	text := args[i].text
	if len(text) < 2 || text[0] != '-' {
		return nil
	}
	add := func(value string, joined bool) {
		switch {
		case joined:
			values = append(values, value)
		case i+1 < len(args):
			values = append(values, args[i+1].text)
		default:
			values = append(values, "")
		}
	}
	name, value, joined := strings.Cut(text, "=")
	for option := range strings.FieldsSeq(list) {
		switch {
		case p.single:
			if name == option || name == "-"+option {
				add(value, joined)
			}
		case len(option) == 2:
			if text[1] == '-' {
				continue
			}
			if k := strings.IndexByte(text[1:], option[1]); k >= 0 {
				rest := strings.TrimPrefix(text[k+2:], "=")
				add(rest, rest != "")
				if rest != "" && i+1 < len(args) {
					add("", false) // letters written together, of which the value follows
				}
			}
		case name == option || len(name) > 3 && strings.HasPrefix(option, name):
			add(value, joined)
		}
	}
	return values
}

// filesIn is what may be a file in a value: all of it, and what stands in it
// behind a sign that sets a file off.
func filesIn(value string) []string {
	if magic, rest, ok := strings.Cut(value, ")"); ok && strings.HasPrefix(magic, ":(") { // of git
		value = rest
	}
	files := []string{strings.TrimLeft(value, "@<")}
	for {
		i := strings.IndexAny(value, "=@:,<;#\"{}")
		if i < 0 {
			break
		}
		before := value[:i]
		if value = value[i+1:]; before != "" {
			files = append(files, before)
		}
		if value != "" {
			files = append(files, value)
		}
	}
	return slices.DeleteFunc(files, func(f string) bool { return f == "" || f == "-" })
}

// use notes what a program does with the files that its words name.
func (s scope) use(p *program, words []string) {
	read, written := words, words
	switch {
	case p.words&wordsPlaced != 0 && len(words) > 1:
		last := words[len(words)-1]
		read = words[:len(words)-1]
		if p.words&wordsWritten == 0 {
			written = nil
		}
		written = append(slices.Clone(written), last)
		for _, name := range read {
			written = append(written, path.Join(last, path.Base(name)))
		}
	case p.words&(wordsPlaced|wordsRead|wordsMaybe) == 0:
		read = nil
	}
	if p.words&(wordsWritten|wordsPlaced) == 0 || p.words == wordsPlaced && len(words) < 2 {
		written = nil
	}
	for _, w := range read {
		s.reads = append(s.reads, filesIn(w)...)
	}
	s.writes = append(s.writes, written...)
	if p.words&wholeTrees != 0 {
		s.readTrees = append(s.readTrees, read...)
		s.writeTrees = append(s.writeTrees, written...)
	}
}

// mostSuspected bounds how many words are taken for the beginning of a command.
const mostSuspected = 64

// suspect takes every word for the beginning of a command, to see what is blocked.
// What is found need not be allowed, since it need not be a command.
func (s scope) suspect(args []shellWord) {
	if s.suspecting {
		return
	}
	if len(args) > mostSuspected {
		s.limit(fmt.Sprintf("more than %d words, of which each may begin a command", mostSuspected))
	}
	for i := range min(len(args), mostSuspected) {
		of := &shell{left: s.left, suspecting: true}
		in := s.inNewShell()
		in.shell = of
		in.run(command{words: args[i:]})
		if s.left = of.left; of.cut {
			s.limit("a command within another that is too long to be read")
		}
		s.suspects = append(s.suspects, of.commands...)
		s.suspects = append(s.suspects, of.suspects...)
	}
}

// container looks at what of this machine a docker shows to a container.
func (s scope) container(args []shellWord) {
	for i := range args {
		for _, value := range programs()["docker"].find(args, i, "-v --volume --mount") {
			for _, file := range filesIn(value) {
				if path.Clean(file) == "/" || path.Base(file) == "docker.sock" {
					s.doubt("a container that sees all files of this machine")
				}
			}
		}
	}
}

// hinted reports whether a text holds one of the hints.
func (p *program) hinted(text string) bool {
	for hint := range strings.FieldsSeq(p.hints) {
		if strings.Contains(strings.ToLower(text), hint) {
			return true
		}
	}
	return false
}
