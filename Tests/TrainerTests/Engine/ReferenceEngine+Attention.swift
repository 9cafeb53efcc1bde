import Foundation
import Models

@testable import Trainer

extension ReferenceEngine {
    func applyRoPE(
        _ qkv: ReferenceTensor, cosine: ReferenceTensor, sine: ReferenceTensor, rotary: RotaryShape,
        shape: AttentionShape, inverse: Bool
    ) {
        let pairs = rotary.size / 2
        let (cosine, sine) = (cosine.values, sine.values)  // (T, N / 2)
        var x = qkv.values  // (R, width)
        let heads = (0..<shape.heads).map(shape.query) + (0..<shape.keyValueHeads).map(shape.key)
        for row in 0..<shape.rows {
            let angles = row % shape.sequenceLength * pairs
            for head in heads {
                for i in 0..<pairs {
                    let start = row * shape.qkvWidth + head
                    let (low, high) = (
                        start + (rotary.isInterleaved ? 2 * i : i),
                        start + (rotary.isInterleaved ? 2 * i + 1 : i + pairs)
                    )
                    let (a, b) = (x[low], x[high])
                    let (c, s) = (cosine[angles + i], inverse ? -sine[angles + i] : sine[angles + i])
                    x[low] = a * c - b * s
                    x[high] = a * s + b * c
                }
            }
        }
        qkv.values = x
    }

    /// score = cap(q · k · scale) + bias over the keys that a query sees, and its sink;
    /// out = softmax(scores) · v, to which the sink brings nothing.
    func attention(
        _ out: ReferenceTensor, logSumExp: ReferenceTensor, qkv: ReferenceTensor, first: ReferenceTensor,
        bias: ReferenceTensor?, sinks: ReferenceTensor?, shape: AttentionShape
    ) {
        let D = shape.headSize
        let x = qkv.values
        let (bias, sinks) = (bias?.values, sinks?.values)
        var result = zeros(shape.rows * shape.outputWidth)
        var denominators = zeros(shape.rows * shape.heads)
        shape.forEachQuery(first.integers) { query in
            let scores = query.scores(x, bias)
            let all = scores + (sinks.map { [$0[query.head]] } ?? [])
            let top = all.reduce(-.infinity, max)
            let denominator = top + log(all.reduce(0) { $0 + exp($1 - top) })
            denominators[query.index] = denominator
            for (key, score) in zip(query.keys, scores) {
                let p = exp(score - denominator)
                for d in 0..<D { result[query.index * D + d] += p * x[query.value(key) + d] }
            }
        }
        out.values = result
        logSumExp.values = denominators
    }

    func keepKeysAndValues(
        _ kept: ReferenceTensor, qkv: ReferenceTensor, places: ReferenceTensor, shape: AttentionShape
    ) {
        let (D, T, K) = (shape.headSize, shape.sequenceLength, shape.keyValueHeads)
        var result = kept.values  // (2, B, K, T, D)
        let x = qkv.values  // (R, width)
        for (row, place) in places.integers.enumerated() {
            for head in 0..<K {
                for (part, from) in [shape.key(head), shape.value(head)].enumerated() {
                    let start = (((part * shape.batch + place / T) * K + head) * T + place % T) * D
                    for d in 0..<D { result[start + d] = x[row * shape.qkvWidth + from + d] }
                }
            }
        }
        kept.values = result
    }

    func attentionOverKept(
        _ out: ReferenceTensor, qkv: ReferenceTensor, kept: ReferenceTensor, places: ReferenceTensor,
        first: ReferenceTensor, bias: ReferenceTensor?, sinks: ReferenceTensor?, shape: AttentionShape
    ) {
        let (D, T, K) = (shape.headSize, shape.sequenceLength, shape.keyValueHeads)
        let (x, kept) = (qkv.values, kept.values)
        let (bias, sinks) = (bias?.values, sinks?.values)
        var result = zeros(out.count)
        for (row, place) in places.integers.enumerated() {
            let keys = first.integers[row]...place % T
            for head in 0..<shape.heads {
                func start(_ part: Int, _ position: Int) -> Int {
                    (((part * shape.batch + place / T) * K + head / shape.groupSize) * T + position) * D
                }
                let query = row * shape.qkvWidth + shape.query(head)
                let scores = keys.enumerated().map { column, key in
                    let product = dot(x, query, kept, start(0, key), D) * Double(shape.scale)
                    let capped = shape.softCap.map { Double($0) * tanh(product / Double($0)) } ?? product
                    return capped + (bias?[head * T + column] ?? 0)
                }
                let all = scores + (sinks.map { [$0[head]] } ?? [])
                let top = all.reduce(-.infinity, max)
                let sum = all.reduce(0) { $0 + exp($1 - top) }
                for (key, score) in zip(keys, scores) {
                    for d in 0..<D {
                        result[(row * shape.heads + head) * D + d] +=
                            exp(score - top) / sum * kept[start(1, key) + d]
                    }
                }
            }
        }
        out.values = result
    }

    /// With p = e^(score − logSumExp) and dp = dOut · v: dv += p · dOut, dscore = p · (dp − Σ p · dp).
    ///
    /// The gradients of q and k follow through the cap. The sink's dp is 0.
    func attentionBackward(
        dqkv: ReferenceTensor, dSinks: ReferenceTensor?, dOut: ReferenceTensor, qkv: ReferenceTensor,
        out: ReferenceTensor, logSumExp: ReferenceTensor, first: ReferenceTensor, bias: ReferenceTensor?,
        sinks: ReferenceTensor?, shape: AttentionShape, accumulate: Bool
    ) {
        let D = shape.headSize
        let (x, dOut, lse) = (qkv.values, dOut.values, logSumExp.values)
        let (bias, sinks) = (bias?.values, sinks?.values)
        var dx = zeros(shape.rows * shape.qkvWidth)
        var ds = accumulate ? dSinks?.values ?? zeros(shape.heads) : zeros(shape.heads)
        shape.forEachQuery(first.integers) { query in
            let p = query.scores(x, bias).map { exp($0 - lse[query.index]) }
            let dp = query.keys.map { dot(dOut, query.index * D, x, query.value($0), D) }
            let mean = zip(p, dp).reduce(0) { $0 + $1.0 * $1.1 }
            if let sinks { ds[query.head] -= exp(sinks[query.head] - lse[query.index]) * mean }
            for (i, key) in query.keys.enumerated() {
                let dProduct = p[i] * (dp[i] - mean) * query.slope(x, key: key)
                for d in 0..<D {
                    dx[query.query + d] += dProduct * x[query.key(key) + d]
                    dx[query.key(key) + d] += dProduct * x[query.query + d]
                    dx[query.value(key) + d] += p[i] * dOut[query.index * D + d]
                }
            }
        }
        dqkv.values = dx
        dSinks?.values = ds
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
    var query: Int { row * shape.qkvWidth + shape.query(head) }
    /// Where the channels of the key at `row` begin.
    func key(_ row: Int) -> Int { row * shape.qkvWidth + shape.key(head / shape.groupSize) }
    /// Where the channels of the value at `row` begin.
    func value(_ row: Int) -> Int { row * shape.qkvWidth + shape.value(head / shape.groupSize) }

    /// The scores of all keys that it sees.
    func scores(_ x: [Double], _ bias: [Double]?) -> [Double] {
        keys.enumerated().map { column, key in
            let product = dot(x, query, x, self.key(key), shape.headSize) * Double(shape.scale)
            let capped = shape.softCap.map { Double($0) * tanh(product / Double($0)) } ?? product
            return capped + (bias?[head * shape.sequenceLength + column] ?? 0)
        }
    }

    /// By how much the score of the key at `row` grows with the product of query and key.
    func slope(_ x: [Double], key row: Int) -> Double {
        let product = dot(x, query, x, key(row), shape.headSize) * Double(shape.scale)
        let t = shape.softCap.map { tanh(product / Double($0)) } ?? 0
        return Double(shape.scale) * (1 - t * t)
    }
}

extension AttentionShape {
    /// Calls `body` with each head of each token.
    fileprivate func forEachQuery(_ first: [Int], _ body: (Query) -> Void) {
        for row in 0..<rows {
            let start = row - row % sequenceLength
            for head in 0..<heads {
                body(Query(shape: self, row: row, head: head, keys: start + first[row]...row))
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
