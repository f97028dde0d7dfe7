const unitMs: Readonly<Record<string, number>> = {
  nanos: 1e-6,
  micros: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** A time as search servers write it, ms; undefined for what is none. */
export function timeMs(text: unknown): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(nanos|micros|ms|s|m|h|d)$/.exec(String(text)) ?? []
  return unit === undefined ? undefined : Number(number) * (unitMs[unit] as number)
}

interface FlatSettings {
  readonly settings?: Readonly<Record<string, unknown>>
  readonly defaults?: Readonly<Record<string, unknown>>
}

const name = 'index.gc_deletes'

export const gcDeletesPath = (index: string): string =>
  `/${encodeURIComponent(index)}/_settings/${name}?flat_settings=true&include_defaults=true`

/** Those of the indexes behind a name that forget their deletes earlier than after `leastMs`, with after how long they do. */
export function earlyIndexes(
  text: string,
  leastMs: number,
): readonly { readonly index: string; readonly is: string }[] {
  const answer = JSON.parse(text) as Readonly<Record<string, FlatSettings>>
  return Object.entries(answer).flatMap(([index, { settings, defaults }]) => {
    const is = settings?.[name] ?? defaults?.[name]
    const ms = timeMs(is)
    return ms !== undefined && ms < leastMs ? [{ index, is: String(is) }] : []
  })
}
