package main

import "iter"

// descriptors is how protoreflect keeps its lists.
type descriptors[D any] interface {
	Len() int
	Get(int) D
}

// each walks such a list.
func each[D any](list descriptors[D]) iter.Seq[D] {
	return func(yield func(D) bool) {
		for i := range list.Len() {
			if !yield(list.Get(i)) {
				return
			}
		}
	}
}
