package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/release"
)

// Where the package has what CI runners use.
const (
	runnerScript   = "ci-runners/cavra-release-governance-runner.sh"
	githubAction   = "ci-runners/github-action/action.yml"
	defaultRequest = "ci-runners/requests/approved-promotion.json"
)

// evidenceDir is where the wrapper writes to, unless told otherwise.
const evidenceDir = ".cavra/go-daemon"

// bundles is the file that tells CI owners what of the package they need.
func (p packager) bundles(files []file) (file, error) {
	var missing error
	reference := func(path string) release.Reference {
		i := slices.IndexFunc(files, func(f file) bool { return f.name == path })
		if i < 0 {
			missing = fmt.Errorf("the bundles name %s, which the package does not hold", path)
			return release.Reference{}
		}
		return release.Reference{Path: path, SHA256: sha256Hex(files[i].text)}
	}
	binary := reference(runner.binary())
	request := reference(defaultRequest)
	bundle := func(provider, deployment, wrapper, invocation string) release.RunnerBundle {
		w := reference(wrapper)
		return release.RunnerBundle{
			Provider: provider, DeploymentTarget: deployment, RunnerOS: runner.os, RunnerArch: runner.arch,
			RuntimeBinary: binary.Path, RuntimeBinarySHA256: binary.SHA256, ReusableWrapper: w.Path, ReusableWrapperSHA: w.SHA256,
			Invocation: invocation, DefaultRequest: request.Path, EvidenceDir: evidenceDir,
			VerificationCommands: []string{
				// By a program from elsewhere: the package must not be its own judge.
				"cavra-runtime --verify-package .cavra-package --package-key RELEASE.pub",
				".cavra-package/" + binary.Path + " --verify-evidence --evidence-log " + evidenceDir + "/release-governance-evidence.jsonl",
			},
			RequiredOutputs: []string{
				"release-governance-response.json", "release-governance-evidence.jsonl",
				"release-governance-evidence-verification.json", "runner-auth-claims.json",
			},
		}
	}
	const script = "bash .cavra-package/" + runnerScript
	b := release.Bundles{
		SchemaVersion: release.BundlesSchema, Product: release.Product, Component: release.Component,
		Version: p.build.version, Commit: p.build.commit, Repository: repository, GeneratedAt: p.source.time.Format(time.RFC3339),
		RunnerScript: reference(runnerScript), GitHubAction: reference(githubAction),
		RunnerBundles: []release.RunnerBundle{
			bundle("GitHub Actions", "github-actions-linux-amd64-runner", githubAction, "uses: ./.cavra-package/ci-runners/github-action"),
			bundle("GitLab CI", "gitlab-linux-amd64-runner", runnerScript, script),
			bundle("Azure Pipelines", "azure-linux-amd64-runner", runnerScript, script),
		},
		Controls: []string{
			"One Ed25519 signature covers every file of the package by its SHA-256.",
			"The wrapper fails closed: an unexpected decision or rule, no answer, or an invalid log ends the step with a failure.",
			"Where a token or a key is configured, release governance needs a proven identity.",
			"The decision is recorded in a hash-chained log before it is answered, and the log is verified at the end of the step.",
			"The log's size and root are printed into the job's log, which the runner's host does not own.",
		},
		OperatorSteps: []string{
			"Get the release's public key by another way than the package.",
			"Verify the package: cavra-runtime --verify-package PACKAGE --package-key RELEASE.pub",
			"Unpack it to .cavra-package in the job's workspace, or install it with install.sh.",
			"Copy the template of your provider from ci-runners/templates, and give it the request.",
			"Let the provider prove the runner with OIDC, or keep an HMAC key in its secrets.",
			"Keep the evidence directory as an artifact, also when the step fails.",
		},
	}
	return file{name: release.BundlesName, text: release.Marshal(b)}, missing
}
