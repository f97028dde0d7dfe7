import type { Place } from './statement-error.js'

/** What the parser makes of a statement's text, before parameters are put in and anything is known of a table. */

export type PathStep =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'element'; readonly index: Expression }
  /** `.*` and `[*]`, which the grammar has and DynamoDB has not. */
  | { readonly kind: 'unpivot' | 'wildcard' }

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>='

/** Every expression says where it stands: the place that AWS names in its messages. */
export type Expression =
  | { readonly kind: 'string' | 'number'; readonly text: string; readonly place: Place }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly place: Place }
  | { readonly kind: 'null' | 'missing' | 'ion' | 'date'; readonly place: Place }
  /** The number of a `?`, from 0. */
  | { readonly kind: 'parameter'; readonly position: number; readonly place: Place }
  | { readonly kind: 'list' | 'bag'; readonly elements: readonly Expression[]; readonly place: Place }
  | { readonly kind: 'struct'; readonly members: readonly StructMember[]; readonly place: Place }
  /** A name, or a path that begins with one. */
  | { readonly kind: 'path'; readonly name: string; readonly steps: readonly PathStep[]; readonly place: Place }
  /** A path that begins with something else. */
  | { readonly kind: 'pathOf'; readonly root: Expression; readonly steps: readonly PathStep[]; readonly place: Place }
  /** The name is in lower case; of `COUNT(*)` nothing is kept but that it is an aggregate. */
  | {
      readonly kind: 'call'
      readonly name: string
      readonly operands: readonly Expression[]
      readonly isAggregate: boolean
      readonly place: Place
    }
  | { readonly kind: 'and' | 'or'; readonly items: Expression[]; readonly place: Place }
  | { readonly kind: 'not' | 'plus' | 'minus'; readonly operand: Expression; readonly place: Place }
  | {
      readonly kind: 'compare'
      readonly operator: Comparison
      readonly left: Expression
      readonly right: Expression
      readonly place: Place
    }
  | {
      readonly kind: 'between'
      readonly value: Expression
      readonly low: Expression
      readonly high: Expression
      readonly place: Place
    }
  | { readonly kind: 'in'; readonly value: Expression; readonly options: Expression; readonly place: Place }
  | { readonly kind: 'is'; readonly value: Expression; readonly type: string; readonly place: Place }
  /** `+`, `-`, and what DynamoDB does not know: `*`, `/`, `%`, `||`, `like`, set operators. */
  | {
      readonly kind: 'binary'
      readonly operator: string
      readonly left: Expression
      readonly right: Expression
      readonly place: Place
    }
  | { readonly kind: 'statement'; readonly statement: StatementSyntax; readonly place: Place }

export interface StructMember {
  readonly name: Expression
  readonly value: Expression
}

/** What FROM, INTO or UPDATE name. */
export interface SourceSyntax {
  readonly source: Expression
  readonly hasAlias: boolean
  /** A second source behind a comma or a JOIN. */
  readonly isJoined: boolean
}

export interface ProjectedSyntax {
  readonly expression: Expression
  readonly hasAlias: boolean
}

export interface OrderTermSyntax {
  readonly expression: Expression
  readonly isDescending: boolean
}

export interface SelectSyntax {
  readonly kind: 'select'
  /** `*` or the list. */
  readonly projection: '*' | readonly ProjectedSyntax[]
  readonly isValue: boolean
  readonly from: SourceSyntax
  readonly where: Expression | undefined
  readonly order: readonly OrderTermSyntax[] | undefined
  /** A clause that DynamoDB does not support, and where its expression stands. */
  readonly unsupported: { readonly clause: string; readonly place: Place } | undefined
}

export interface AssignmentSyntax {
  readonly kind: 'set'
  readonly target: Expression
  readonly value: Expression
}

export interface RemovalSyntax {
  readonly kind: 'remove'
  readonly target: Expression
}

export type ReturningValues = 'ALL OLD' | 'ALL NEW' | 'MODIFIED OLD' | 'MODIFIED NEW'

export interface ReturningSyntax {
  readonly values: ReturningValues
  /** Something else than `*` was to be returned. */
  readonly hasColumn: boolean
  readonly isList: boolean
}

export interface InsertSyntax {
  readonly kind: 'insert'
  readonly into: Expression
  /** `VALUE item`, or a list of items without VALUE. */
  readonly value: Expression
  readonly isSingle: boolean
  readonly hasPosition: boolean
  readonly returning: ReturningSyntax | undefined
}

export interface UpdateSyntax {
  readonly kind: 'update'
  readonly from: SourceSyntax
  /** Also an INSERT, which the grammar allows behind FROM. */
  readonly operations: readonly (AssignmentSyntax | RemovalSyntax | InsertSyntax)[]
  readonly where: Expression | undefined
  readonly returning: ReturningSyntax | undefined
}

export interface DeleteSyntax {
  readonly kind: 'delete'
  readonly from: SourceSyntax
  readonly where: Expression | undefined
  readonly returning: ReturningSyntax | undefined
}

/** SET or REMOVE with nothing that they are of. */
export interface LooseUpdateSyntax {
  readonly kind: 'loose'
}

export type StatementSyntax = SelectSyntax | InsertSyntax | UpdateSyntax | DeleteSyntax | LooseUpdateSyntax
