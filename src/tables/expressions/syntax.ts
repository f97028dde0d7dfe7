/** What the parsers make of an expression's text, before names and values are looked up. */

export type PathPart =
  | { readonly kind: 'name'; readonly text: string }
  | { readonly kind: 'reference'; readonly text: string }
  /** The digits of a list position. */
  | { readonly kind: 'index'; readonly text: string }

export interface PathSyntax {
  readonly kind: 'path'
  readonly parts: readonly PathPart[]
}

export interface ValueSyntax {
  readonly kind: 'value'
  /** With its colon. */
  readonly reference: string
}

export interface CallSyntax {
  readonly kind: 'call'
  readonly name: string
  readonly operands: readonly OperandSyntax[]
}

export type OperandSyntax = PathSyntax | ValueSyntax | CallSyntax

export type Comparator = '=' | '<>' | '<' | '<=' | '>' | '>='

export type ConditionSyntax =
  | CallSyntax
  | { readonly kind: 'and' | 'or'; readonly items: readonly ConditionSyntax[] }
  | { readonly kind: 'not'; readonly item: ConditionSyntax }
  | {
      readonly kind: 'compare'
      readonly operator: Comparator
      readonly left: OperandSyntax
      readonly right: OperandSyntax
    }
  | {
      readonly kind: 'between'
      readonly value: OperandSyntax
      readonly low: OperandSyntax
      readonly high: OperandSyntax
    }
  | { readonly kind: 'in'; readonly value: OperandSyntax; readonly options: readonly OperandSyntax[] }

export interface ArithmeticSyntax {
  readonly kind: 'arithmetic'
  readonly operator: '+' | '-'
  readonly left: OperandSyntax
  readonly right: OperandSyntax
}

export type SetValueSyntax = OperandSyntax | ArithmeticSyntax

export type ActionSyntax =
  | { readonly kind: 'SET'; readonly path: PathSyntax; readonly value: SetValueSyntax }
  | { readonly kind: 'REMOVE'; readonly path: PathSyntax }
  | { readonly kind: 'ADD' | 'DELETE'; readonly path: PathSyntax; readonly value: ValueSyntax }

export interface SectionSyntax {
  readonly kind: ActionSyntax['kind']
  readonly actions: readonly ActionSyntax[]
}
