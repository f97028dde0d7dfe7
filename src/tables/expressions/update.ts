import { type AttributeType, type AttributeValue, typeOf } from '../values/index.js'
import type { ExpressionContext } from './context.js'
import { checkPathNames, checkSetValueNames } from './names.js'
import { buildPathTree, type Path, type PathList, type PathTree, requireDistinct } from './paths.js'
import { type ExpressionKind, ExpressionReader, expressionError } from './reader.js'
import type { ActionSyntax, OperandSyntax, SectionSyntax, SetValueSyntax } from './syntax.js'
import { parseUpdateSyntax } from './update-parser.js'

const kind = 'UpdateExpression'

/** What a SET gives its path, to be evaluated against the item as it was. */
export type SetValue =
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'value'; readonly value: AttributeValue }
  | { readonly kind: 'if_not_exists'; readonly path: Path; readonly otherwise: SetValue }
  | { readonly kind: 'list_append'; readonly first: SetValue; readonly second: SetValue }
  | { readonly kind: 'arithmetic'; readonly operator: '+' | '-'; readonly left: SetValue; readonly right: SetValue }

export type Action =
  | { readonly kind: 'SET'; readonly value: SetValue }
  | { readonly kind: 'REMOVE' }
  | { readonly kind: 'ADD' | 'DELETE'; readonly value: AttributeValue }

/** A parsed update with its names and values put in. */
export interface Update {
  /** What is written, in the order of the text. */
  readonly paths: PathList
  /** What is done there, path by path. */
  readonly actions: readonly Action[]
  readonly tree: PathTree
  /** Made of AttributeUpdates, for which AWS has other words where operands do not fit. */
  readonly isLegacy?: boolean
}

/** Passes in AWS's order: syntax, names, sections, references, overlapping paths, operands of ADD and DELETE, of SET. */
export function parseUpdate(text: string, context: ExpressionContext): Update {
  const sections = parseUpdateSyntax(new ExpressionReader(kind, text))
  checkNames(sections)
  checkSections(sections)
  const actions = sections.flatMap((section) => section.actions)
  const paths: Path[] = []
  for (const action of actions) {
    paths.push(context.path(kind, action.path))
    if (action.kind === 'SET') lookUpReferences(action.value, context)
    else if (action.kind !== 'REMOVE') context.value(kind, action.value.reference)
  }
  const tree = buildPathTree(kind, paths)
  for (const section of [...sections].reverse()) checkSetOperands(section, context)
  return { paths, actions: actions.map((action) => readAction(action, context)), tree }
}

function checkNames(sections: readonly SectionSyntax[]): void {
  for (const section of sections) {
    for (const action of section.actions) {
      checkPathNames(kind, action.path)
      if (action.kind === 'SET') checkSetValueNames(kind, action.value)
    }
  }
}

function checkSections(sections: readonly SectionSyntax[]): void {
  const seen = new Set<string>()
  for (const section of sections) {
    if (seen.has(section.kind)) {
      throw expressionError(kind, `The "${section.kind}" section can only be used once in an update expression;`)
    }
    seen.add(section.kind)
  }
}

function lookUpReferences(value: SetValueSyntax, context: ExpressionContext): void {
  switch (value.kind) {
    case 'path':
      context.path(kind, value)
      break
    case 'value':
      context.value(kind, value.reference)
      break
    case 'call':
      for (const operand of value.operands) lookUpReferences(operand, context)
      break
    case 'arithmetic':
      lookUpReferences(value.left, context)
      lookUpReferences(value.right, context)
      break
  }
}

/** The words that AWS has for types in this one message. */
const typeNames: Readonly<Record<AttributeType, string>> = {
  S: 'STRING',
  N: 'NUMBER',
  B: 'BINARY',
  BOOL: 'BOOLEAN',
  NULL: 'NULL',
  M: 'MAP',
  L: 'LIST',
  SS: 'STRING_SET',
  NS: 'NUMBER_SET',
  BS: 'BINARY_SET',
}

function checkSetOperands(section: SectionSyntax, context: ExpressionContext): void {
  for (const action of section.actions) {
    if (action.kind !== 'ADD' && action.kind !== 'DELETE') continue
    const type = typeOf(context.value(kind, action.value.reference))
    if (type === 'SS' || type === 'NS' || type === 'BS' || (type === 'N' && action.kind === 'ADD')) continue
    throw expressionError(
      kind,
      `Incorrect operand type for operator or function; operator: ${action.kind}, ` +
        `operand type: ${typeNames[type]}, typeSet: ALLOWED_FOR_${action.kind}_OPERAND`,
    )
  }
}

function readAction(action: ActionSyntax, context: ExpressionContext): Action {
  switch (action.kind) {
    case 'SET':
      return { kind: 'SET', value: readSetValue(action.value, context) }
    case 'REMOVE':
      return { kind: 'REMOVE' }
    case 'ADD':
    case 'DELETE':
      return { kind: action.kind, value: context.value(kind, action.value.reference) }
  }
}

function readSetValue(syntax: SetValueSyntax, context: ExpressionContext): SetValue {
  if (syntax.kind !== 'arithmetic') return readOperand(syntax, context)
  return sumOf(kind, syntax.operator, readOperand(syntax.left, context), readOperand(syntax.right, context))
}

/** A sum or difference; refuses operands that are known not to be numbers. */
export function sumOf(kind: ExpressionKind, operator: '+' | '-', left: SetValue, right: SetValue): SetValue {
  requireType(kind, operator, left, 'N')
  requireType(kind, operator, right, 'N')
  return { kind: 'arithmetic', operator, left, right }
}

/** One list after another; refuses operands that are known not to be lists. */
export function appendedLists(kind: ExpressionKind, operands: readonly SetValue[]): SetValue {
  requireTwo(kind, 'list_append', operands)
  const [first, second] = operands as [SetValue, SetValue]
  requireType(kind, 'list_append', first, 'L')
  requireType(kind, 'list_append', second, 'L')
  return { kind: 'list_append', first, second }
}

function readOperand(syntax: OperandSyntax, context: ExpressionContext): SetValue {
  if (syntax.kind === 'path') return { kind: 'path', path: context.path(kind, syntax) }
  if (syntax.kind === 'value') return { kind: 'value', value: context.value(kind, syntax.reference) }
  const operands = syntax.operands.map((operand) => readOperand(operand, context))
  if (syntax.name === 'list_append') return appendedLists(kind, operands)
  requireTwo(kind, syntax.name, operands)
  const [first, second] = operands as [SetValue, SetValue]
  if (first.kind !== 'path') {
    throw expressionError(kind, `Operator or function requires a document path; operator or function: ${syntax.name}`)
  }
  if (second.kind === 'path') requireDistinct(kind, syntax.name, first.path, second.path)
  return { kind: 'if_not_exists', path: first.path, otherwise: second }
}

function requireTwo(kind: ExpressionKind, name: string, operands: readonly SetValue[]): void {
  if (operands.length === 2) return
  throw expressionError(
    kind,
    'Incorrect number of operands for operator or function; ' +
      `operator or function: ${name}, number of operands: ${operands.length}`,
  )
}

function requireType(kind: ExpressionKind, operator: string, operand: SetValue, wanted: AttributeType): void {
  const type = operand.kind === 'value' ? typeOf(operand.value) : operand.kind === 'list_append' ? 'L' : wanted
  if (type === wanted) return
  throw expressionError(
    kind,
    `Incorrect operand type for operator or function; operator or function: ${operator}, operand type: ${type}`,
  )
}

/** An update of actions and the paths that they are on. Throws when the paths overlap. */
export function updateOf(kind: ExpressionKind, paths: PathList, actions: readonly Action[]): Update {
  return { paths, actions, tree: buildPathTree(kind, paths) }
}

/** The paths that an update reads, in the values of its SETs. */
export function updateReadPaths({ actions }: Update): PathList {
  const paths: Path[] = []
  for (const action of actions) if (action.kind === 'SET') collectPaths(action.value, paths)
  return paths
}

function collectPaths(value: SetValue, paths: Path[]): void {
  switch (value.kind) {
    case 'path':
      paths.push(value.path)
      break
    case 'if_not_exists':
      paths.push(value.path)
      collectPaths(value.otherwise, paths)
      break
    case 'list_append':
      collectPaths(value.first, paths)
      collectPaths(value.second, paths)
      break
    case 'arithmetic':
      collectPaths(value.left, paths)
      collectPaths(value.right, paths)
      break
  }
}

/** Names of the attributes that an update writes (not those that it reads): for "part of the key". */
export function updateTopLevelNames(update: Update): readonly string[] {
  return [...update.tree.members.keys()]
}

/**
 * What an update's text alone says of the attributes that it writes: the type that one gets, `unknown` when that depends on
 * the item, `part` when only something inside of it is written. An attribute that is removed is not among them.
 */
export function writtenTypes(update: Update): ReadonlyMap<string, AttributeType | 'unknown' | 'part'> {
  const types = new Map<string, AttributeType | 'unknown' | 'part'>()
  update.paths.forEach((path, number) => {
    const action = update.actions[number] as Action
    if (path.length > 1) types.set(path[0], 'part')
    else if (action.kind === 'SET') types.set(path[0], typeOfSetValue(action.value))
    else if (action.kind !== 'REMOVE') types.set(path[0], typeOf(action.value))
  })
  return types
}

function typeOfSetValue(value: SetValue): AttributeType | 'unknown' {
  switch (value.kind) {
    case 'value':
      return typeOf(value.value)
    case 'arithmetic':
      return 'N'
    case 'list_append':
      return 'L'
    default:
      return 'unknown'
  }
}
