import { expect, test } from 'vitest'
import { signedPath } from '../../../src/server/aws/signature.js'

test.each([
  ['/', '/'],
  ['/2015-03-31/functions/', '/2015-03-31/functions/'],
  ['/2015-03-31/functions/arn%3Aaws/invocations', '/2015-03-31/functions/arn%253Aaws/invocations'],
  ['/a//b/./c/../d', '/a/b/d'],
])('a path as it is signed: %s', (path, signed) => {
  expect(signedPath(path)).toBe(signed)
})
