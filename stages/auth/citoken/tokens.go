package citoken

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// Source is the source of the token of a provider's job. GitHub Actions and
// Buildkite make the token for the audience that is asked for; elsewhere the
// provider or the job's configuration chose it, and audience is not used.
// Without a provider the source gives only errors.
func (p Provider) Source(getenv Getenv, audience string) Source {
	return p.source(request{getenv: getenv, audience: audience, service: newService(), run: output})
}

func (p Provider) source(r request) Source {
	return Func(func(ctx context.Context) (string, error) {
		if p.p == nil {
			return "", errors.New("no CI provider is detected; give the token with CAVRA_RUNNER_AUTH_OIDC_TOKEN_FILE, or leave --runner-oidc-auto out")
		}
		token, err := p.p.token(ctx, r)
		if err != nil {
			return "", fmt.Errorf("%s gives no token: %w", p.p.name, err)
		}
		return token, nil
	})
}

// request is what a provider's token function works with.
type request struct {
	getenv   Getenv
	audience string
	service  *service
	run      func(ctx context.Context, name string, args ...string) ([]byte, error)
}

var errNoAudience = errors.New("an audience is needed; set CAVRA_RUNNER_OIDC_AUDIENCE to the one that the daemon expects")

func githubToken(ctx context.Context, r request) (string, error) {
	const help = "add `permissions: id-token: write` to the job in its workflow file"
	address, credential := r.getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), r.getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	switch {
	case address == "" || credential == "":
		return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL or ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set; " + help)
	case r.audience == "":
		return "", errNoAudience
	}
	at, err := endpoint(address, "audience", r.audience)
	if err != nil {
		return "", fmt.Errorf("ACTIONS_ID_TOKEN_REQUEST_URL %w", err)
	}
	token, err := r.service.ask(ctx, http.MethodGet, at, "bearer "+credential, "value")
	if err != nil {
		return "", fmt.Errorf("its token service was asked, and %w; %s", err, help)
	}
	return token, nil
}

func gitlabToken(ctx context.Context, r request) (string, error) {
	const help = "give the job, in .gitlab-ci.yml, `id_tokens: CAVRA_GITLAB_OIDC_TOKEN: aud: AUDIENCE`"
	if name := r.getenv("CAVRA_RUNNER_AUTH_OIDC_TOKEN_ENV"); name != "" {
		token, err := Variable(r.getenv, name).Token(ctx)
		if err != nil {
			return "", fmt.Errorf("CAVRA_RUNNER_AUTH_OIDC_TOKEN_ENV says where it is, and %w", err)
		}
		return token, nil
	}
	return firstOf(ctx, r, help, "CAVRA_GITLAB_OIDC_TOKEN", "GITLAB_OIDC_TOKEN", "CI_JOB_JWT_V2")
}

func azureToken(ctx context.Context, r request) (string, error) {
	const help = "give the step, in azure-pipelines.yml, an env that maps SYSTEM_ACCESSTOKEN to the variable System.AccessToken"
	address, credential := r.getenv("SYSTEM_OIDCREQUESTURI"), r.getenv("SYSTEM_ACCESSTOKEN")
	if credential == "" {
		credential = r.getenv("CAVRA_AZURE_OIDC_REQUEST_TOKEN")
	}
	given := r.getenv("CAVRA_AZURE_OIDC_TOKEN") != ""
	switch {
	case given && (address == "" || credential == ""), address == "" && credential == "":
		return firstOf(ctx, r, help, "CAVRA_AZURE_OIDC_TOKEN")
	case credential == "":
		return "", errors.New("SYSTEM_ACCESSTOKEN is not set; " + help)
	case address == "":
		return "", errors.New("SYSTEM_OIDCREQUESTURI is not set, which Azure Pipelines sets in each job; run in one, or give the token with CAVRA_AZURE_OIDC_TOKEN")
	case strings.HasPrefix(credential, "$("):
		return "", errors.New("SYSTEM_ACCESSTOKEN holds the name of a variable and not its value; " + help)
	}
	at, err := endpoint(address, "api-version", "7.1")
	if err != nil {
		return "", fmt.Errorf("SYSTEM_OIDCREQUESTURI %w", err)
	}
	token, err := r.service.ask(ctx, http.MethodPost, at, "Bearer "+credential, "oidcToken")
	if err != nil {
		return "", fmt.Errorf("its token service was asked, and %w; %s", err, help)
	}
	return token, nil
}

func buildkiteToken(ctx context.Context, r request) (string, error) {
	if r.audience == "" {
		return "", errNoAudience
	}
	ctx, cancel := context.WithTimeout(ctx, r.service.total) // the agent tries again by itself
	defer cancel()
	out, err := r.run(ctx, "buildkite-agent", "oidc", "request-token", "--audience", r.audience)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", errors.New("`buildkite-agent oidc request-token` does not end in time; run it by hand in a job to see why")
	case errors.As(err, &exit):
		return "", fmt.Errorf("`buildkite-agent oidc request-token` ends with code %d; run it by hand in a job to see why", exit.ExitCode())
	case err != nil:
		return "", fmt.Errorf("`buildkite-agent oidc request-token` fails: %w; buildkite-agent must be on the PATH of the step", err)
	}
	return wellFormed(string(out), "`buildkite-agent oidc request-token`")
}

func circleToken(ctx context.Context, r request) (string, error) {
	const help = "CircleCI sets it in jobs of its own repository; for pull requests of forks see the setting `Pass secrets to builds from forked pull requests`"
	return firstOf(ctx, r, help, "CIRCLE_OIDC_TOKEN_V2", "CIRCLE_OIDC_TOKEN")
}

// firstOf gives the token of the first variable that is set.
func firstOf(ctx context.Context, r request, help string, names ...string) (string, error) {
	for _, name := range names {
		if r.getenv(name) != "" {
			token, err := Variable(r.getenv, name).Token(ctx)
			if err != nil {
				return "", fmt.Errorf("%w; %s", err, help)
			}
			return token, nil
		}
	}
	verb := "is not set"
	if len(names) > 1 {
		verb = "are not set"
	}
	return "", fmt.Errorf("%s %s; %s", strings.Join(names, ", "), verb, help)
}

// output runs a program, without a shell, and returns what it prints. What it
// says on standard error is dropped: it can hold a credential.
func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second // for what a killed program leaves behind
	var out bounded
	cmd.Stdout = &out
	err := cmd.Run()
	return out.kept, err
}

// bounded keeps what fits and refuses what does not, which ends the program. It
// embeds no buffer, whose ReadFrom would go around the bound.
type bounded struct{ kept []byte }

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.kept)+len(p) > maxAnswer {
		return 0, fmt.Errorf("it prints more than %d bytes", maxAnswer)
	}
	b.kept = append(b.kept, p...)
	return len(p), nil
}
