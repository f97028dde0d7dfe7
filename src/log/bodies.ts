/** The door to the bodies of records: how they are written, and how they are read. */
export { BatchBuilder } from './bodies/batch-builder.js'
export { BodyReader, bodyOf, rowBytes, type StoredBody } from './bodies/body-reader.js'
export { RowEncoder } from './bodies/row-encoder.js'
export type { RowView } from './bodies/row-view.js'
export {
  encodeShapes,
  type Field,
  parseShape,
  parseShapes,
  type Shape,
  shapesMax,
  splitShapes,
} from './bodies/shape.js'
export type { RowBytes } from './bodies/slots.js'
export { withoutRows } from './bodies/without-rows.js'
