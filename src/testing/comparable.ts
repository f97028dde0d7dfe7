/** Values in an order that depends on what they hold alone, so that two lists of them can be compared whatever their order. */
export function comparable(values: Iterable<unknown>): unknown[] {
  return [...values]
    .map((value) => ({ value, text: text(value) }))
    .sort(byText)
    .map(({ value }) => value)
}

const byText = (a: { readonly text: string }, b: { readonly text: string }): number =>
  a.text < b.text ? -1 : a.text > b.text ? 1 : 0

/** JSON with members in order of their names, and with what JSON has no form for. */
function text(value: unknown): string {
  return (
    JSON.stringify(value, (_name, each: unknown) => {
      if (typeof each === 'bigint' || each === undefined) return `${each}n`
      if (typeof each === 'number') return Number.isFinite(each) ? each : String(each)
      if (each instanceof Map) return comparable(each)
      if (each instanceof Set) return [...each].map(text).sort()
      if (typeof each !== 'object' || each === null || Array.isArray(each)) return each
      return Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
    }) ?? 'undefined'
  )
}
