import type { Item } from '../values/index.js'
import type { ExpressionContext } from './context.js'
import { checkPathNames } from './names.js'
import { parsePath } from './operand-parser.js'
import { buildPathTree, type PathList, type PathTree, selectPaths } from './paths.js'
import { ExpressionReader } from './reader.js'

const kind = 'ProjectionExpression'

export interface Projection {
  readonly paths: PathList
  readonly tree: PathTree
}

/** projection := path {',' path} */
export function parseProjection(text: string, context: ExpressionContext): Projection {
  const reader = new ExpressionReader(kind, text)
  const syntax = [parsePath(reader)]
  while (reader.take(',')) syntax.push(parsePath(reader))
  reader.expectEnd()
  for (const path of syntax) checkPathNames(kind, path)
  const paths = syntax.map((path) => context.path(kind, path))
  return projectionOfPaths(paths)
}

/** A projection of paths that are known. Throws when they overlap. */
export function projectionOfPaths(paths: PathList): Projection {
  return { paths, tree: buildPathTree(kind, paths) }
}

/** The projected parts of an item, in their places; list elements close up, in list order. */
export function project(projection: Projection, item: Item): Item {
  return selectPaths(projection.tree, item)
}

/**
 * The touched paths of an item: UPDATED_OLD of the item before an update, UPDATED_NEW of the one after. As on AWS the
 * positions of list elements are taken literally, so an element that was appended past the end is not among them.
 */
export function updatedAttributes(touched: PathList, item: Item): Item {
  return selectPaths(buildPathTree('UpdateExpression', touched), item)
}
