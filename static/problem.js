// An error that the server reports (application/problem+json), or that kept us from reaching it.

const PATIENCE = 10_000;
const NOT_RETRIED = [400, 401, 403, 406]; // the same question would get the same answer

export class Problem extends Error {
  /** Would the same request fail again? */
  final = false;

  static async of(response) {
    const body = await response.json().catch(() => ({}));
    const detail = body.detail ?? body.title ?? `The server answered ${response.status}.`;
    const problem = new Problem(body.parameter ? `${body.parameter}: ${detail}` : detail);
    problem.final = NOT_RETRIED.includes(response.status);
    return problem;
  }
}

/** GET `url` as JSON. Throws a Problem. */
export async function getJson(url) {
  const response = await fetch(url, {
    headers: { Accept: "application/json" },
    signal: AbortSignal.timeout(PATIENCE),
  }).catch(() => {
    throw new Problem("The server cannot be reached.");
  });
  if (!response.ok) throw await Problem.of(response);
  return response.json().catch(() => {
    throw new Problem("The server's answer is not JSON.");
  });
}
