import type { Change, Operand, Path, Source, Tree } from './syntax.js'
import { bytesOf, canonical, compareValues, type Item, isEqual, sumOf, textOf, typeOf, type Value } from './values.js'

/** What the daemon must refuse with a ValidationException when it comes to it. */
export class Refused extends Error {}

export function read(item: Item, [name, ...steps]: Path): Value | undefined {
  let value: Value | undefined = Object.hasOwn(item, name) ? item[name] : undefined
  for (const step of steps) {
    if (typeof step === 'number') value = value?.L?.[step]
    else value = value?.M && Object.hasOwn(value.M, step) ? value.M[step] : undefined
  }
  return value
}

const sizeOf = (value: Value | undefined): Value | undefined => {
  const members = value?.L ?? value?.SS ?? value?.NS ?? value?.BS ?? (value?.M && Object.keys(value.M))
  const size = value?.S?.length ?? (value?.B === undefined ? undefined : bytesOf(value.B).length) ?? members?.length
  return size === undefined ? undefined : { N: String(size) }
}

function operandValue(operand: Operand, item: Item): Value | undefined {
  if ('path' in operand) return read(item, operand.path)
  if ('size' in operand) return sizeOf(read(item, operand.size))
  return operand.value
}

const isSame = (a: Value | undefined, b: Value | undefined) => a !== undefined && b !== undefined && isEqual(a, b)

export function holds(tree: Tree, item: Item): boolean {
  switch (tree.is) {
    case 'and':
      return holds(tree.left, item) && holds(tree.right, item)
    case 'or':
      return holds(tree.left, item) || holds(tree.right, item)
    case 'not':
      return !holds(tree.item, item)
    case 'exists':
      return read(item, tree.path) !== undefined
    case 'missing':
      return read(item, tree.path) === undefined
    case 'type': {
      const value = read(item, tree.path)
      return value !== undefined && typeOf(value) === tree.type
    }
    case 'in': {
      const value = operandValue(tree.value, item)
      return tree.options.some((option) => isSame(value, operandValue(option, item)))
    }
    case 'between': {
      const value = operandValue(tree.value, item)
      const low = compareValues(value, operandValue(tree.low, item))
      const high = compareValues(value, operandValue(tree.high, item))
      return low !== undefined && high !== undefined && low >= 0 && high <= 0
    }
    case 'begins': {
      const [value, part] = [read(item, tree.path), operandValue(tree.part, item)]
      if (value?.S !== undefined && part?.S !== undefined) return value.S.indexOf(part.S) === 0
      if (value?.B === undefined || part?.B === undefined) return false
      return bytesOf(value.B).toString('hex').startsWith(bytesOf(part.B).toString('hex'))
    }
    case 'contains':
      return contains(read(item, tree.path), operandValue(tree.part, item))
    case 'compare': {
      const [left, right] = [operandValue(tree.left, item), operandValue(tree.right, item)]
      if (tree.operator === '=') return isSame(left, right)
      if (tree.operator === '<>') return !isSame(left, right)
      const order = compareValues(left, right)
      if (order === undefined) return false
      if (order === 0) return tree.operator === '<=' || tree.operator === '>='
      return tree.operator.startsWith(order < 0 ? '<' : '>')
    }
  }
}

function contains(value: Value | undefined, part: Value | undefined): boolean {
  if (value === undefined || part === undefined) return false
  if (value.S !== undefined) return part.S !== undefined && value.S.includes(part.S)
  if (value.B !== undefined) return part.B !== undefined && bytesOf(value.B).includes(bytesOf(part.B))
  const members: readonly Value[] =
    value.L ?? value.SS?.map((S) => ({ S })) ?? value.NS?.map((N) => ({ N })) ?? value.BS?.map((B) => ({ B })) ?? []
  return members.some((member) => isEqual(member, part))
}

function compute(source: Source, item: Item): Value {
  if ('value' in source) return source.value
  if ('ifMissing' in source) return read(item, source.ifMissing) ?? compute(source.otherwise, item)
  if ('first' in source) {
    const [first, second] = [compute(source.first, item), compute(source.second, item)]
    if (!first.L || !second.L) throw new Refused('list_append of what is no list')
    return { L: [...first.L, ...second.L] }
  }
  const found = read(item, source.path)
  if (found === undefined) throw new Refused('an attribute that is not there')
  return found
}

/** A value that can be written into; lists keep gaps until the end, so that places stay what they were. */
type Draft = { M?: Map<string, Draft>; L?: Map<number, Draft>; leaf?: Value }

const draftOf = (value: Value): Draft => {
  if (value.M) return { M: new Map(Object.entries(value.M).map(([name, each]) => [name, draftOf(each)])) }
  if (value.L) return { L: new Map(value.L.map((each, place) => [place, draftOf(each)])) }
  return { leaf: value }
}

const finished = (draft: Draft): Value => {
  if (draft.M) return { M: Object.fromEntries([...draft.M].map(([name, each]) => [name, finished(each)])) }
  if (draft.L) return { L: [...draft.L].sort(([a], [b]) => a - b).map(([, each]) => finished(each)) }
  return draft.leaf as Value
}

/** The item after an update; `exists` says whether there was one, or only its key. Throws Refused. */
export function update(changes: readonly Change[], item: Item, exists: boolean): Item {
  const root: Draft = { M: new Map(Object.entries(item).map(([name, value]) => [name, draftOf(value)])) }
  for (const change of changes) {
    const value = resultOf(change, item)
    const parent = parentOf(root, change.path)
    if (parent === undefined) {
      if (change.do === 'REMOVE' && !exists) continue
      throw new Refused('a path that leads nowhere')
    }
    const last = change.path[change.path.length - 1] as string | number
    const members = (typeof last === 'number' ? parent.L : parent.M) as Map<string | number, Draft> | undefined
    if (members === undefined) throw new Refused('a path into something else')
    if (value === undefined) members.delete(last)
    else members.set(last, draftOf(value))
  }
  return (finished(root) as { M: Item }).M
}

function parentOf(root: Draft, path: Path): Draft | undefined {
  let draft: Draft | undefined = root
  for (const step of path.slice(0, -1)) draft = typeof step === 'number' ? draft?.L?.get(step) : draft?.M?.get(step)
  return draft
}

/** What a change makes of what stands at its path in the item as it was; undefined is nothing. */
function resultOf(change: Change, item: Item): Value | undefined {
  const old = read(item, change.path)
  switch (change.do) {
    case 'REMOVE':
      return undefined
    case 'SET': {
      if ('to' in change) return compute(change.to, item)
      const [left, right] = [compute(change.left, item), compute(change.right, item)]
      if (left.N === undefined || right.N === undefined) throw new Refused('a sum of what is no number')
      return total(left.N, right.N, change.sign === '-')
    }
    case 'ADD': {
      if (old === undefined) return change.value
      if (old.N !== undefined && change.value.N !== undefined) return total(old.N, change.value.N, false)
      return setOf(old, change.value, (mine, others) => [...mine, ...others.filter((each) => !mine.includes(each))])
    }
    case 'DELETE': {
      if (old === undefined) return undefined
      return setOf(old, change.value, (mine, others) => mine.filter((each) => !others.includes(each)))
    }
  }
}

function total(a: string, b: string, subtract: boolean): Value {
  const N = sumOf(a, b, subtract)
  if (N === undefined) throw new Refused('a sum out of range')
  return { N }
}

function setOf(
  old: Value,
  value: Value,
  combine: (mine: readonly string[], others: readonly string[]) => readonly string[],
): Value | undefined {
  const [one, two] = [canonical(old), canonical(value)]
  for (const type of ['SS', 'NS', 'BS'] as const) {
    const [mine, others] = [one[type], two[type]]
    if (mine === undefined || others === undefined) continue
    const members = combine(mine, others)
    return members.length === 0 ? undefined : { [type]: members }
  }
  throw new Refused('sets of two types')
}

/** The parts of an item at some paths, in their places; elements of lists close up. */
export function select(paths: readonly Path[], item: Item): Item {
  const root: Draft = { M: new Map() }
  for (const path of paths) {
    const value = read(item, path)
    if (value !== undefined) place(root, path, value)
  }
  return (finished(root) as { M: Item }).M
}

function place(root: Draft, path: Path, value: Value): void {
  let draft = root
  path.forEach((step, depth) => {
    const next = path[depth + 1]
    const fresh: Draft =
      next === undefined ? draftOf(value) : typeof next === 'number' ? { L: new Map() } : { M: new Map() }
    const members = (typeof step === 'number' ? draft.L : draft.M) as Map<string | number, Draft>
    if (!members.has(step)) members.set(step, fresh)
    draft = members.get(step) as Draft
  })
}

export const sameItem = (a: Item, b: Item): boolean => textOf({ M: a }) === textOf({ M: b })
