package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/evaluate"
)

// listPacks prints the built-in packs, for people or as one JSON array.
func listPacks(c *cli, stdout, stderr io.Writer) int {
	packs := evaluate.Packs()
	if c.JSON {
		if err := json.NewEncoder(stdout).Encode(packs); err != nil {
			return fail(stderr, "the packs cannot be printed", err)
		}
		return exitOK
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "NAME\tRULES\tTITLE\n")
	for _, p := range packs {
		if p.Default {
			p.Title += " (default)"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", p.Name, p.Rules, p.Title)
	}
	if err := table.Flush(); err != nil {
		return fail(stderr, "the packs cannot be printed", err)
	}
	return exitOK
}

// printPack prints the bytes of a built-in pack, over which its digest is taken.
func printPack(name string, stdout, stderr io.Writer) int {
	text, ok := evaluate.Pack(name)
	if !ok {
		hint := "--list-packs lists them"
		if near := evaluate.NearestPack(name); near != "" {
			hint = "did you mean " + near + "?"
		}
		fmt.Fprintf(stderr, "cavra-runtime: --print-pack: there is no such pack; %s\n", hint)
		return exitUsage
	}
	if _, err := stdout.Write(text); err != nil {
		return fail(stderr, "the pack cannot be printed", err)
	}
	return exitOK
}
