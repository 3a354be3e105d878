package document

import "strings"

// Nearest returns the known word that word most likely misspells, or "" where
// none is near. Case and the choice of - or _ count for nothing; beyond that one
// letter in three may be wrong, missing, needless or swapped with its neighbour,
// up to three. The first of equally near words wins.
func Nearest(word string, known []string) string {
	fold := strings.NewReplacer("-", "_")
	word = fold.Replace(strings.ToLower(word))
	best, limit := "", min(max(1, len(word)/3), 3)
	for _, k := range known {
		folded := fold.Replace(strings.ToLower(k))
		if folded == word {
			return k
		}
		if max(len(folded), len(word))-min(len(folded), len(word)) > limit || len(word) < 3 {
			continue
		}
		if d := distance(word, folded); d <= limit {
			best, limit = k, d-1
		}
	}
	return best
}

// distance counts the single letters to change, add, drop or swap with their
// neighbour to get from a to b. Its time is len(a)·len(b); callers bound one to
// a known word and the other to nearly that length.
func distance(a, b string) int {
	var before, row, next []int // rows of the table for i-2, i-1 and i letters of a
	row = make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next = make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := row[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			next[j] = min(change, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
