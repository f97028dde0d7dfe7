/** A field as people read it: `state.error.code`, and its value in words, maybe over several lines. */
export interface ShownField {
  readonly name: string
  readonly text: string
}

/** Members that are milliseconds since 1970. */
const timeNames = new Set(['createdAt', 'modifiedAt', 'closedAt', 'sealedAt', 'since', 'nextTryAt', 'at'])

/**
 * The fields of an answer, one a row: members of members with dots between the names, lists of objects one object a line,
 * times as ISO 8601 in UTC. What is absent or empty has no row.
 */
export function shownFields(value: object): readonly ShownField[] {
  return Object.entries(value).flatMap(([name, field]) => {
    if (field === undefined || field === null) return []
    if (Array.isArray(field)) return field.length === 0 ? [] : [{ name, text: listText(field) }]
    if (typeof field === 'object') return shownFields(field).map((each) => ({ ...each, name: `${name}.${each.name}` }))
    return [{ name, text: scalarText(name, field) }]
  })
}

function listText(items: readonly unknown[]): string {
  const isPlain = items.every((item) => typeof item !== 'object')
  return isPlain ? items.join(', ') : items.map(itemText).join('\n')
}

function itemText(item: unknown): string {
  if (typeof item !== 'object' || item === null) return String(item)
  return shownFields(item)
    .map(({ name, text }) => `${name} ${text}`)
    .join(', ')
}

function scalarText(name: string, value: unknown): string {
  const isTime = typeof value === 'number' && timeNames.has(name) && Math.abs(value) <= 8.64e15
  return isTime ? new Date(value).toISOString() : String(value)
}
