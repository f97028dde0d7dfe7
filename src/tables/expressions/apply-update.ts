import {
  type AttributeValue,
  addNumbers,
  attributeOf,
  type Item,
  nestingMax,
  setAttribute,
  sortBinaries,
  sortNumbers,
  sortTexts,
  subtractNumbers,
  ValidationError,
} from '../values/index.js'
import { inListOrder, type PathList, type PathTree, readPath } from './paths.js'
import type { SetValue, Update } from './update.js'

/**
 * The item after an update, and the paths that it wrote. Pure: the item is not changed, and what the update does not
 * touch is shared with it. Every value that a SET gives is computed from the item as it was; list positions are those of
 * the list as it was, and elements past its end are appended in the order of their positions.
 *
 * `item` is the key attributes alone when there was no item; `exists` is then false, and a REMOVE below an attribute that
 * is not there does nothing instead of being an error.
 */
export function applyUpdate(update: Update, item: Item, exists = true): { item: Item; touched: PathList } {
  const values = update.actions.map((action) =>
    action.kind === 'SET' ? evaluateSetValue(action.value, item) : undefined,
  )
  const application = new Application(update, values, exists)
  const next: Item = { ...item }
  application.writeMembers(update.tree, item, next, 1)
  return { item: next, touched: update.paths }
}

class Application {
  constructor(
    private readonly update: Update,
    private readonly values: readonly (AttributeValue | undefined)[],
    private readonly exists: boolean,
  ) {}

  /** Writes to `next`, a copy of `members`, what the tree says of them. */
  writeMembers(node: PathTree, members: Item, next: Item, depth: number): void {
    for (const [name, branch] of node.members) {
      const value = this.write(branch, attributeOf(members, name), depth)
      if (value === undefined) delete next[name]
      else setAttribute(next, name, value)
    }
  }

  /** The new value of a place; undefined when nothing is to be there. */
  private write(node: PathTree, old: AttributeValue | undefined, depth: number): AttributeValue | undefined {
    if (node.path !== undefined) return this.act(node.path, old, depth)
    if (old === undefined && !this.exists && this.onlyRemoves(node)) return undefined
    if (old !== undefined && node.elements.size > 0 && 'L' in old) return this.writeElements(node, old.L, depth)
    if (old !== undefined && node.members.size > 0 && 'M' in old) {
      const next: Item = { ...old.M }
      this.writeMembers(node, old.M, next, depth + 1)
      return { M: next }
    }
    throw new ValidationError('The document path provided in the update expression is invalid for update', 'item')
  }

  private writeElements(node: PathTree, list: readonly AttributeValue[], depth: number): AttributeValue {
    const next: (AttributeValue | undefined)[] = list.slice()
    for (const [index, branch] of inListOrder(node)) {
      const value = this.write(branch, list[index], depth + 1)
      if (index < list.length) next[index] = value
      else next.push(value)
    }
    return { L: next.filter((element) => element !== undefined) }
  }

  private act(path: number, old: AttributeValue | undefined, depth: number): AttributeValue | undefined {
    const action = this.update.actions[path] as Update['actions'][number]
    switch (action.kind) {
      case 'SET': {
        const value = this.values[path] as AttributeValue
        if (depth + nestingOf(value) - 1 > nestingMax) {
          throw new ValidationError(
            'Nesting Levels have exceeded supported limits: ' +
              'Attributes in the item have nested levels beyond supported limit',
            'item',
            'Nesting Levels have exceeded supported limits',
          )
        }
        return value
      }
      case 'REMOVE':
        return undefined
      case 'ADD':
        return old === undefined ? action.value : add(old, action.value)
      case 'DELETE':
        return old === undefined ? undefined : subtractSet(old, action.value)
    }
  }

  private onlyRemoves(node: PathTree): boolean {
    if (node.path !== undefined) return this.update.actions[node.path]?.kind === 'REMOVE'
    for (const branch of node.members.values()) if (!this.onlyRemoves(branch)) return false
    for (const branch of node.elements.values()) if (!this.onlyRemoves(branch)) return false
    return true
  }
}

function evaluateSetValue(value: SetValue, item: Item): AttributeValue {
  switch (value.kind) {
    case 'path': {
      const found = readPath(item, value.path)
      if (found !== undefined) return found
      throw new ValidationError(
        'The provided expression refers to an attribute that does not exist in the item',
        'item',
      )
    }
    case 'value':
      return value.value
    case 'if_not_exists':
      return readPath(item, value.path) ?? evaluateSetValue(value.otherwise, item)
    case 'list_append': {
      const first = evaluateSetValue(value.first, item)
      const second = evaluateSetValue(value.second, item)
      if ('L' in first && 'L' in second) return { L: [...first.L, ...second.L] }
      throw wrongType()
    }
    case 'arithmetic': {
      const left = evaluateSetValue(value.left, item)
      const right = evaluateSetValue(value.right, item)
      if (!('N' in left && 'N' in right)) throw wrongType()
      return { N: value.operator === '+' ? addNumbers(left.N, right.N) : subtractNumbers(left.N, right.N) }
    }
  }
}

function add(old: AttributeValue, value: AttributeValue): AttributeValue {
  if ('N' in old && 'N' in value) return { N: addNumbers(old.N, value.N) }
  if ('SS' in old && 'SS' in value) return { SS: sortTexts(union(old.SS, value.SS)) }
  if ('NS' in old && 'NS' in value) return { NS: sortNumbers(union(old.NS, value.NS)) }
  if ('BS' in old && 'BS' in value) return { BS: sortBinaries(union(old.BS, value.BS)) }
  throw wrongType()
}

/** The set without the members of another of its type; undefined when none is left, for there are no empty sets. */
function subtractSet(old: AttributeValue, value: AttributeValue): AttributeValue | undefined {
  if ('SS' in old && 'SS' in value) {
    const left = difference(old.SS, value.SS)
    return left.length > 0 ? { SS: left } : undefined
  }
  if ('NS' in old && 'NS' in value) {
    const left = difference(old.NS, value.NS)
    return left.length > 0 ? { NS: left } : undefined
  }
  if ('BS' in old && 'BS' in value) {
    const left = difference(old.BS, value.BS)
    return left.length > 0 ? { BS: left } : undefined
  }
  throw wrongType()
}

const union = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])]

function difference(a: readonly string[], b: readonly string[]): string[] {
  const gone = new Set(b)
  return a.filter((member) => !gone.has(member))
}

/** Levels of a value, itself counted. */
function nestingOf(value: AttributeValue): number {
  let deepest = 0
  if ('L' in value) {
    for (const element of value.L) deepest = Math.max(deepest, nestingOf(element))
  } else if ('M' in value) {
    for (const name in value.M) deepest = Math.max(deepest, nestingOf(value.M[name] as AttributeValue))
  }
  return deepest + 1
}

/** An operand and what is there are of types that do not go together. */
export class OperandTypeError extends ValidationError {}

function wrongType(): ValidationError {
  return new OperandTypeError('An operand in the update expression has an incorrect data type', 'item')
}
