import { MillraceError } from '../../runtime/errors.js'
import { keptMark } from './kept-mark.js'
import type { Shape } from './shape.js'
import { type RowBytes, readAny, readText, readTexts, slotBytes, textWithin } from './slots.js'

/**
 * Own properties of a view: where its bytes lie. A copy by spread or `Object.assign` takes them along, while the fields, which
 * are the class's, stay behind: such a copy is known by them, and gets its fields back when it leaves the step.
 */
const bytesOf = Symbol('millrace.row')
const placeOf = Symbol('millrace.row.place')

/** A row as its readers see it: a field is read from the bytes when it is asked for. */
export interface RowView {
  readonly [bytesOf]: RowBytes
  readonly [placeOf]: number
  /** All fields as a plain object, which outlives the bytes. Undefined ones are left out, as in JSON. */
  toJSON(): Record<string, unknown>
}

export type RowClass = new (bytes: RowBytes, at: number) => RowView

/** Classes by the text of their shape: one for all streams and tasks of a thread, so that user code sees few of them. */
const classes = new Map<string, RowClass>()
const classesMax = 1024

/** The class whose objects read rows of this shape. */
export function rowClassOf(shape: Shape): RowClass {
  const known = classes.get(shape.text)
  if (known) return known
  const made = makeClass(shape)
  if (classes.size >= classesMax) classes.delete(classes.keys().next().value as string)
  classes.set(shape.text, made)
  return made
}

/**
 * Generated, since a getter that knows its place as a constant costs 3 ns, and one that finds it in a closure several
 * times that. Names of fields come in as JSON strings, which are string literals of JavaScript too: nothing of them runs.
 */
function makeClass({ fields }: Shape): RowClass {
  const getters = fields.map(([name, type], i) => {
    const place = `this[placeOf], ${i * slotBytes}`
    const read =
      type === 'number'
        ? `this[bytesOf].view.getFloat64(this[placeOf] + ${i * slotBytes}, true)`
        : `${type === 'string' ? 'readText' : 'readAny'}(this[bytesOf], ${place})`
    return `get [${JSON.stringify(name)}]() { try { return ${read} } catch (error) { throw unreadable(error, this[bytesOf]) } }`
  })
  const texts = fields.flatMap(([, type], i) => (type === 'string' ? [i * slotBytes] : []))
  const members = fields.map(([name, type], i) => {
    const within = `textWithin(this[bytesOf], this[placeOf], ${i * slotBytes}, texts, ${texts[0]})`
    return `${JSON.stringify(name)}: ${type === 'string' && texts.length > 1 ? within : `this[${JSON.stringify(name)}]`}`
  })
  const reading = texts.length > 1 ? `readTexts(this[bytesOf], this[placeOf], ${texts[0]}, ${texts.at(-1)})` : "''"
  const trims = fields.flatMap(([name, type]) =>
    type === 'any' ? `if (plain[${JSON.stringify(name)}] === undefined) delete plain[${JSON.stringify(name)}]\n` : [],
  )
  const text = `class Row {
    constructor(bytes, place) { this[bytesOf] = bytes; this[placeOf] = place; this[keptMark] = keep }
    ${getters.join('\n')}
    toJSON() {
      try {
        const texts = ${reading}
        const plain = { ${members.join(', ')} }
        ${trims.join('')}
        return plain
      } catch (error) { throw unreadable(error, this[bytesOf]) }
    }
    [inspect]() { return this.toJSON() }
  }
  const keep = function () { return this instanceof Row ? this.toJSON() : completed(this, Row) }
  return Row`
  const inspect = Symbol.for('nodejs.util.inspect.custom')
  const given = { bytesOf, placeOf, keptMark, readText, readTexts, textWithin, readAny, unreadable, completed, inspect }
  const made = new Function(...Object.keys(given), text)(...Object.values(given)) as RowClass
  // For `for (const name in row)`.
  for (const [name] of fields) Object.defineProperty(made.prototype, name, { enumerable: true })
  return made
}

/** A copy of a view with its fields. What was written over one of them could as well have been written before it. */
function completed(copy: RowView & Record<string, unknown>, view: RowClass): object {
  const whole = new view(copy[bytesOf], copy[placeOf]).toJSON()
  for (const name of Object.keys(copy)) {
    if (name in whole)
      throw new TypeError(
        `A row was copied with a field ${name} of its own, by ... or Object.assign, which see no field of a row: copy plain(record.value) instead.`,
      )
    whole[name] = copy[name]
  }
  return whole
}

function unreadable(error: unknown, { bytes }: RowBytes): unknown {
  // The handover that the row lies in has gone back to the main thread.
  if (bytes.length === 0)
    return new TypeError(
      'A row is valid only until the steps of its record are through: keep what you need of it, or all of it with plain(row).',
    )
  return error instanceof RangeError
    ? new MillraceError('FORMAT_INVALID', 'A row is shorter than its shape says.', { cause: error })
    : error
}

/** Whether the bytes of a body are a whole row: no slot points outside of them. */
export function isWholeRow({ fields }: Shape, { view }: RowBytes, at: number, end: number): boolean {
  if (end - at < fields.length * slotBytes) return false
  return fields.every(([, type], i) => {
    if (type !== 'string') return true
    const start = view.getUint32(at + i * slotBytes, true)
    return at + start + (view.getUint32(at + i * slotBytes + 4, true) & 0x7fff_ffff) <= end
  })
}
