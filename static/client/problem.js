// What the server says went wrong (application/problem+json), or what went wrong on the way to it.

const PATIENCE = 10_000;
const FINAL = [400, 403, 406]; // the same request would get the same answer

/** An answer that is none. `kind` is "refused" (asking again is of no use), "sign-in", "gone" or "retry". */
export class Problem extends Error {
  kind = "retry";
  /** Milliseconds to wait at least, where the server says so. */
  wait = 0;
  status = 0;

  static of(kind, message, status = 0) {
    const problem = new Problem(message);
    return Object.assign(problem, { kind, status });
  }

  /** The problem that `response` tells; null where it is an answer of `type`. */
  static async from(response, type) {
    if (response.type === "opaqueredirect" || response.status === 401) return Problem.of("sign-in", "Your sign-in has ended.", 401);
    if (response.ok && isOf(response, type)) return null;
    // a login page that a front puts in place of the answer
    if (response.ok && isOf(response, "text/html")) return Problem.of("sign-in", "Your sign-in has ended.", response.status);
    const problem = Problem.of(kindOf(response.status), await told(response), response.status);
    problem.wait = 1_000 * (Number(response.headers.get("Retry-After")) || 0);
    return problem;
  }
}

function kindOf(status) {
  if (status === 410) return "gone";
  return FINAL.includes(status) ? "refused" : "retry";
}

const isOf = (response, type) => (response.headers.get("Content-Type") ?? "").startsWith(type);

async function told(response) {
  const body = await response.json().catch(() => ({}));
  const detail = body.detail ?? body.reason ?? body.title ?? `The server answered ${response.status}.`;
  return body.parameter ? `${body.parameter}: ${detail}` : detail;
}

/** GET `url`; throws a Problem where the answer is not of `type`. */
export async function get(url, type, { token, signal, headers = {} } = {}) {
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(url, { headers: { Accept: type, ...headers }, signal, redirect: "manual", cache: "no-store" }).catch(() => {
    throw Problem.of("retry", "The server cannot be reached.");
  });
  const problem = await Problem.from(response, type);
  if (problem) throw problem;
  return response;
}

/** GET `url` as JSON text. Throws a Problem. */
export async function getText(url, { signal, patience = PATIENCE, ...options } = {}) {
  const signals = [AbortSignal.timeout(patience), ...(signal ? [signal] : [])];
  const response = await get(url, "application/json", { ...options, signal: AbortSignal.any(signals) });
  return response.text().catch(() => {
    throw Problem.of("retry", "The server's answer was cut off.");
  });
}
