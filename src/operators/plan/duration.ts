import { MillraceError } from '../../runtime/errors.js'

/** Milliseconds as a number, or text: `250ms`, `10s`, `5m`, `2h`, `7d`. */
export type Duration = number | string

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration. Throws PIPELINE_INVALID, which names what it was for. */
export function durationMs(duration: Duration, what: string, least = 1): number {
  const ms = typeof duration === 'number' ? duration : msOfText(duration)
  if (ms !== undefined && Number.isSafeInteger(ms) && ms >= least) return ms
  throw new MillraceError('PIPELINE_INVALID', `${JSON.stringify(duration)} is no duration for ${what}.`, {
    remedy: `Give whole milliseconds, at least ${least}, or text such as '250ms', '10s', '5m', '2h', '7d'.`,
  })
}

function msOfText(text: unknown): number | undefined {
  const match = typeof text === 'string' ? /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text) : null
  return match ? Number(match[1]) * (units[match[2] as string] as number) : undefined
}

/** A duration for people: `1m 30s`. */
export function durationText(ms: number): string {
  const parts: string[] = []
  let rest = ms
  for (const [unit, size] of Object.entries(units).reverse()) {
    const many = Math.floor(rest / size)
    if (many > 0) parts.push(`${many}${unit}`)
    rest -= many * size
  }
  return parts.slice(0, 2).join(' ') || '0ms'
}
