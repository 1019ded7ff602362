// Requests of this server: its errors as sentences, its token, its streams.

// Problem is an answer after RFC 9457.
export class Problem extends Error {
  constructor(status, problem) {
    super(sentence(problem));
    this.status = status;
    this.detail = problem.detail;
    this.errors = problem.errors ?? [];
  }
}

function sentence(problem) {
  const more = (problem.errors ?? []).map((e) => (e.location ? `${e.location.replace(/^body\.?/, '')}: ${e.message}` : e.message));
  const text = [problem.detail || problem.title || 'the server gave no reason', ...more].join(' · ');
  return text[0].toUpperCase() + text.slice(1);
}

const hooks = { wait: () => {}, token: () => Promise.reject(new Error('no token')) };

// listen says who tells the user that the server is busy, and who asks for a token.
export function listen(given) { Object.assign(hooks, given); }

const maxTries = 6;

// ask is a request and its JSON; body undefined is a GET.
export async function ask(path, body, signal) {
  return (await send(path, body, signal, 'application/json')).json();
}

// send asks until the server has time and knows the token.
export async function send(path, body, signal, accept) {
  for (let tries = 1; ; tries++) {
    const headers = { Accept: accept };
    const token = sessionStorage.getItem('token');
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response;
    try {
      response = await fetch(path, { method: body === undefined ? 'GET' : 'POST', headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Problem(0, { detail: 'the server cannot be reached: look whether mqc serve still runs, then change something or press Draw' });
    }
    if (response.ok) return response;
    if (response.status === 401) {
      await hooks.token(Boolean(token));
      continue;
    }
    if (response.status === 429 && tries < maxTries) {
      const seconds = Number(response.headers.get('Retry-After')) || 1;
      hooks.wait(seconds);
      await pause(1000 * seconds, signal);
      continue;
    }
    throw new Problem(response.status, await response.json().catch(() => ({ detail: `status ${response.status}` })));
  }
}

// pause resolves after some milliseconds, and fails once signal is aborted.
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('given up', 'AbortError'));
    });
  });
}

// stream hands the events of an answer to take(name, value), one after the other.
export async function stream(path, body, signal, take) {
  const response = await send(path, body, signal, 'text/event-stream');
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split('\n\n');
    text = events.pop();
    for (const event of events) dispatch(event, take);
  }
}

// dispatch reads one event: WHATWG HTML, section 9.2.
function dispatch(event, take) {
  let name = 'message';
  const data = [];
  for (const line of event.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7);
    else if (line.startsWith('data: ')) data.push(line.slice(6));
  }
  if (data.length === 0) return;
  const value = JSON.parse(data.join('\n'));
  if (name === 'error') throw new Problem(value.status ?? 0, value);
  take(name, value);
}

// curl is a call as a shell has it.
export function curl(call) {
  const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const words = ['curl', '-s', quote(location.origin + call.path)];
  if (sessionStorage.getItem('token')) words.push('-H', '"Authorization: Bearer $TOKEN"');
  if (call.body) words.push('-H', "'Content-Type: application/json'", '-d', quote(JSON.stringify(call.body)));
  return words.join(' ');
}
