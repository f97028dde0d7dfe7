import { type AttributeValue, attributeOf, type Item } from '../values/index.js'
import { type ExpressionKind, expressionError } from './reader.js'

/** A document path: the attribute's name, then members of maps (strings) and positions in lists (numbers). */
export type Path = readonly [string, ...(string | number)[]]
export type PathList = readonly Path[]

/** What stands at a path of an item; undefined where the path leads nowhere. */
export function readPath(item: Item, path: Path): AttributeValue | undefined {
  let value = attributeOf(item, path[0])
  for (let i = 1; i < path.length && value !== undefined; i++) {
    const step = path[i] as string | number
    if (typeof step === 'string') value = 'M' in value ? attributeOf(value.M, step) : undefined
    else value = 'L' in value ? value.L[step] : undefined
  }
  return value
}

export function pathsEqual(a: Path, b: Path): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false
  }
  return true
}

/** As AWS writes paths in its messages: `[a, [0], b]`. */
export function describePath(path: Path): string {
  return `[${path.map((step) => (typeof step === 'number' ? `[${step}]` : step)).join(', ')}]`
}

/** Refuses two operands that are the same path. */
export function requireDistinct(kind: ExpressionKind, name: string, first: Path, other: Path): void {
  if (!pathsEqual(first, other)) return
  throw expressionError(
    kind,
    'The first operand must be distinct from the remaining operands for this operator or function; ' +
      `operator: ${name}, first operand: ${describePath(first)}`,
  )
}

/** A set of paths, none of which begins another, by their steps. */
export interface PathTree {
  /** The number of the path that ends here; such a node has no children. */
  path: number | undefined
  /** The first path through here. */
  readonly first: number
  readonly members: Map<string, PathTree>
  readonly elements: Map<number, PathTree>
}

function newNode(first: number): PathTree {
  return { path: undefined, first, members: new Map(), elements: new Map() }
}

/**
 * Refuses paths of one expression that overlap (one is the other or leads to it) or, if none overlap, that conflict (take
 * one place for a map and for a list). Linear in the steps.
 */
export function buildPathTree(kind: ExpressionKind, paths: PathList): PathTree {
  const root = newNode(0)
  let conflict: readonly [Path, Path] | undefined
  paths.forEach((path, number) => {
    let node = root
    path.forEach((step, depth) => {
      if (node.path !== undefined) throw incompatible(kind, 'overlap', paths[node.path] as Path, path)
      const others = typeof step === 'number' ? node.members : node.elements
      if (depth > 0 && conflict === undefined) {
        for (const other of others.values()) {
          conflict = [paths[other.first] as Path, path]
          break
        }
      }
      node = typeof step === 'number' ? child(node.elements, step, number) : child(node.members, step, number)
    })
    if (node.path !== undefined || node.first !== number) {
      throw incompatible(kind, 'overlap', paths[node.path ?? node.first] as Path, path)
    }
    node.path = number
  })
  if (conflict !== undefined) throw incompatible(kind, 'conflict', conflict[0], conflict[1])
  return root
}

function child<Step>(children: Map<Step, PathTree>, step: Step, number: number): PathTree {
  let node = children.get(step)
  if (node === undefined) {
    node = newNode(number)
    children.set(step, node)
  }
  return node
}

function incompatible(kind: ExpressionKind, how: 'overlap' | 'conflict', one: Path, two: Path): Error {
  return expressionError(
    kind,
    `Two document paths ${how} with each other; must remove or rewrite one of these paths; ` +
      `path one: ${describePath(one)}, path two: ${describePath(two)}`,
  )
}

/** The parts of an item that a tree's paths lead to, in their places; list elements close up, in list order. */
export function selectPaths(tree: PathTree, item: Item): Item {
  return selectMembers(tree, item)
}

function selectMembers(node: PathTree, members: Item): Item {
  // Object.fromEntries defines its members, so a name such as __proto__ is an attribute like any other.
  const selected: [string, AttributeValue][] = []
  for (const [name, branch] of node.members) {
    const value = attributeOf(members, name)
    const part = value === undefined ? undefined : select(branch, value)
    if (part !== undefined) selected.push([name, part])
  }
  return Object.fromEntries(selected)
}

function select(node: PathTree, value: AttributeValue): AttributeValue | undefined {
  if (node.path !== undefined) return value
  if ('M' in value) {
    const members = selectMembers(node, value.M)
    for (const _ in members) return { M: members }
    return undefined
  }
  if ('L' in value) {
    const elements: AttributeValue[] = []
    for (const [index, branch] of inListOrder(node)) {
      const element = value.L[index]
      const part = element === undefined ? undefined : select(branch, element)
      if (part !== undefined) elements.push(part)
    }
    return elements.length > 0 ? { L: elements } : undefined
  }
  return undefined
}

export function inListOrder(node: PathTree): [number, PathTree][] {
  return [...node.elements].sort((a, b) => a[0] - b[0])
}
