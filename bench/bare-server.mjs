// Node's own HTTP server with constant answers: what is left of a request when nothing is done for it. Each body is read to its
// end, and an answer has the headers and the size of the daemon's. Prints its port.
import { createServer } from 'node:http'

const item = `{"Item":{"id":{"S":"item 12345"},"name":{"S":"some name of an item"},"count":{"N":"123456"},"stamp":{"N":"1764000000000"},"pad":{"S":"${'x'.repeat(120)}"}}}`

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  let bytes = 0
  request.on('data', (part) => {
    bytes += part.length
  })
  request.on('end', () => {
    const body = request.headers['x-amz-target'] === 'DynamoDB_20120810.GetItem' ? item : '{}'
    response.writeHead(bytes > 0 ? 200 : 400, [
      'x-amzn-RequestId',
      'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345ABCDEFGHIJKLMNOPQRST',
      'content-type',
      'application/x-amz-json-1.0',
      'content-length',
      String(body.length),
      'x-amz-crc32',
      '1234567890',
    ])
    response.end(body, 'latin1')
  })
})
process.on('SIGINT', () => process.exit(0))
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
