import Foundation

@testable import Trainer

extension ReferenceEngine {
    func rotate(
        _ qkv: ReferenceBuffer, cosine: ReferenceBuffer, sine: ReferenceBuffer, shape: AttentionShape,
        back: Bool
    ) {
        let half = shape.headSize / 2
        let (cosine, sine) = (cosine.values, sine.values)  // (T, D / 2)
        var x = qkv.values  // (R, width)
        for row in 0..<shape.rows {
            let angles = row % shape.time * half
            for head in 0..<shape.heads + shape.keyValueHeads {
                for i in 0..<half {
                    let low = row * shape.width + head * shape.headSize + i
                    let (a, b) = (x[low], x[low + half])
                    let (c, s) = (cosine[angles + i], back ? -sine[angles + i] : sine[angles + i])
                    x[low] = a * c - b * s
                    x[low + half] = a * s + b * c
                }
            }
        }
        qkv.values = x
    }

    /// scores = q · k / √D over the keys that a query sees; out = softmax(scores) · v.
    func attention(
        _ out: ReferenceBuffer, lse: ReferenceBuffer, qkv: ReferenceBuffer, first: [Int32],
        shape: AttentionShape
    ) {
        let D = shape.headSize
        let x = qkv.values
        var result = zeros(shape.rows * shape.outputWidth)
        var denominators = zeros(shape.rows * shape.heads)
        shape.forEachQuery(first) { query in
            let scores = query.keys.map { query.score(x, key: $0) }
            let top = scores.reduce(-.infinity, max)
            let denominator = top + log(scores.reduce(0) { $0 + exp($1 - top) })
            denominators[query.index] = denominator
            for (key, score) in zip(query.keys, scores) {
                let p = exp(score - denominator)
                for d in 0..<D { result[query.index * D + d] += p * x[query.value(key) + d] }
            }
        }
        out.values = result
        lse.values = denominators
    }

    /// With p = e^(score − lse) and dp = dout · v: dv += p · dout, dscore = p · (dp − Σ p · dp), and the
    /// gradients of q and k follow from score = q · k / √D.
    func attentionBackward(
        dqkv: ReferenceBuffer, dOut: ReferenceBuffer, qkv: ReferenceBuffer, out: ReferenceBuffer,
        lse: ReferenceBuffer, first: [Int32], shape: AttentionShape
    ) {
        let D = shape.headSize
        let (x, dOut, lse) = (qkv.values, dOut.values, lse.values)
        var dx = zeros(shape.rows * shape.width)
        shape.forEachQuery(first) { query in
            let p = query.keys.map { exp(query.score(x, key: $0) - lse[query.index]) }
            let dp = query.keys.map { dot(dOut, query.index * D, x, query.value($0), D) }
            let mean = zip(p, dp).reduce(0) { $0 + $1.0 * $1.1 }
            for (i, key) in query.keys.enumerated() {
                let dScore = p[i] * (dp[i] - mean) / Double(D).squareRoot()
                for d in 0..<D {
                    dx[query.query + d] += dScore * x[query.key(key) + d]
                    dx[query.key(key) + d] += dScore * x[query.query + d]
                    dx[query.value(key) + d] += p[i] * dOut[query.index * D + d]
                }
            }
        }
        dqkv.values = dx
    }
}

/// One head of one token, and where what it reads lies.
private struct Query {
    let shape: AttentionShape
    let row: Int, head: Int
    /// The rows of the keys that it sees.
    let keys: ClosedRange<Int>

    /// Which of the (R, H) queries it is.
    var index: Int { row * shape.heads + head }
    /// Where its own channels begin.
    var query: Int { row * shape.width + head * shape.headSize }

    /// Where the channels of the key at `row` begin.
    func key(_ row: Int) -> Int {
        let group = shape.heads / shape.keyValueHeads
        return row * shape.width + (shape.heads + head / group) * shape.headSize
    }

    /// Where the channels of the value at `row` begin.
    func value(_ row: Int) -> Int { key(row) + shape.keyValueHeads * shape.headSize }

    func score(_ x: [Double], key row: Int) -> Double {
        dot(x, query, x, key(row), shape.headSize) / Double(shape.headSize).squareRoot()
    }
}

extension AttentionShape {
    /// Calls `body` with each head of each token.
    fileprivate func forEachQuery(_ first: [Int32], _ body: (Query) -> Void) {
        for row in 0..<rows {
            let start = row - row % time
            for head in 0..<heads {
                body(Query(shape: self, row: row, head: head, keys: start + Int(first[row])...row))
            }
        }
    }
}

/// The sum of the products of `count` values of x from `i` on and of y from `j` on.
private func dot(_ x: [Double], _ i: Int, _ y: [Double], _ j: Int, _ count: Int) -> Double {
    var sum = 0.0
    for n in 0..<count { sum += x[i + n] * y[j + n] }
    return sum
}
