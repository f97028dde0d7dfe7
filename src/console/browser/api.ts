/** An error as the daemon's native API says it. */
export class DaemonError extends Error {
  readonly code: string
  readonly remedy: string

  constructor(code: string, message: string, remedy: string) {
    super(message)
    this.code = code
    this.remedy = remedy
  }
}

/** Reads a path below `/v1`. Rejects with a DaemonError, or with what `fetch` says when nobody answers. */
export async function read<Answer>(path: string, signal: AbortSignal): Promise<Answer> {
  const response = await fetch(`/v1/${path}`, { headers: { 'x-millrace': '1' }, signal })
  const answer: unknown = await response.json()
  if (response.ok) return answer as Answer
  const { error } = answer as { error?: { code?: string; message?: string; remedy?: string } }
  throw new DaemonError(
    error?.code ?? 'INTERNAL',
    error?.message ?? `The answer is ${response.status}.`,
    error?.remedy ?? '',
  )
}

/** The same of something that may not be there: another version's path, or what was deleted meanwhile. */
export async function readIfThere<Answer>(path: string, signal: AbortSignal): Promise<Answer | undefined> {
  try {
    return await read<Answer>(path, signal)
  } catch (error) {
    if (error instanceof DaemonError && (error.code === 'NOT_FOUND' || error.code === 'BAD_REQUEST')) return undefined
    throw error
  }
}
