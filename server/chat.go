package server

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"github.com/micro-quant/mqc/chat"
)

// ChatRequest is a line of a conversation.
type ChatRequest struct {
	Line  string      `json:"line" maxLength:"1000" doc:"such as: what if -8% tomorrow, then flat"`
	State *chat.State `json:"state,omitempty" doc:"what the line leaves out: that which the last answer had"`
}

// chat answers a line. What is not understood is a problem that lists the nearest
// commands.
func (s *Server) chat(ctx context.Context, r ChatRequest) (*chat.Answer, error) {
	state := chat.DefaultState()
	if r.State != nil {
		state = *r.State
	}
	session, err := chat.NewSession(s.service, state)
	if err != nil {
		return nil, err
	}
	a, err := session.Do(ctx, r.Line)
	var syntax *chat.SyntaxError
	if !errors.As(err, &syntax) {
		return a, err
	}
	var near []error
	for _, u := range syntax.Near {
		near = append(near, &huma.ErrorDetail{Message: u.Syntax, Location: "body.line", Value: u.Example})
	}
	return nil, huma.Error422UnprocessableEntity(syntax.Reason, near...)
}

// Vocabulary is what lines of a conversation may say.
type Vocabulary struct {
	Commands  []chat.Usage `json:"commands"`
	Assets    []string     `json:"assets"`
	Models    []string     `json:"models"`
	Baselines []string     `json:"baselines" doc:"as lines say them"`
}

func (s *Server) vocabulary(context.Context, *struct{}) (*Vocabulary, error) {
	return &Vocabulary{chat.Usages(), s.service.AssetNames(), s.service.ModelNames(), chat.Baselines()}, nil
}
