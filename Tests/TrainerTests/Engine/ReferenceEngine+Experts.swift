import Foundation
import Models

@testable import Trainer

// MARK: Routing

extension ReferenceEngine {
    func route(
        chosen: ReferenceTensor, weights: ReferenceTensor, logits: ReferenceTensor,
        correction: ReferenceTensor?, routing: Routing, shape: ExpertShape
    ) {
        let (R, E, K) = (shape.rows, shape.experts, shape.chosen)
        let (x, correction) = (logits.values, correction?.values ?? zeros(E))
        var (choices, shares, scores) = ([Int](), [Double](), [Double]())
        for r in 0..<R {
            let logits = Array(x[r * E..<(r + 1) * E])
            let score =
                if case .sigmoid = routing { logits.map(sigmoid) } else { softmax(logits) }
            let preference = routing == .softmaxOfChosen ? logits : score
            let order = (0..<E).sorted {
                let (a, b) = (preference[$0] + correction[$0], preference[$1] + correction[$1])
                return a == b ? $0 < $1 : a > b
            }
            let chosen = Array(order.prefix(K))
            let share = chosen.map { score[$0] }
            let normalized = share.map { $0 / share.reduce(0, +) }
            switch routing {
            case .softmax(let normalizes): shares += normalizes ? normalized : share
            case .softmaxOfChosen: shares += softmax(chosen.map { logits[$0] })
            case .sigmoid(let normalizes, let factor):
                shares += (normalizes ? normalized : share).map { Double(factor) * $0 }
            }
            choices += chosen
            scores += score
        }
        chosen.integers = choices
        weights.values = shares
        logits.values = scores
    }

    /// From the weights back to the scores by the quotient rule, then through the softmax or sigmoid of each row.
    func routeBackward(
        dLogits: ReferenceTensor, dWeights: ReferenceTensor, chosen: ReferenceTensor,
        weights: ReferenceTensor, scores: ReferenceTensor, balance: ReferenceTensor?, routing: Routing,
        shape: ExpertShape
    ) {
        let (R, E, K) = (shape.rows, shape.experts, shape.chosen)
        let (dw, c, s, balance) = (
            dWeights.values, chosen.integers, scores.values, balance?.values ?? zeros(E)
        )
        var dx = zeros(R * E)
        for r in 0..<R {
            let (dw, c, s) = (
                Array(dw[r * K..<(r + 1) * K]), Array(c[r * K..<(r + 1) * K]), Array(s[r * E..<(r + 1) * E])
            )
            let sum = c.reduce(0) { $0 + s[$1] }
            let mean = zip(dw, c).reduce(0) { $0 + $1.0 * s[$1.1] } / sum
            var ds = balance
            for (d, expert) in zip(dw, c) {
                switch routing {
                // A softmax over the chosen ones is the softmax over all, whose shares are made to sum to one.
                case .softmax(normalizes: true), .softmaxOfChosen: ds[expert] += (d - mean) / sum
                case .softmax(normalizes: false): ds[expert] += d
                case .sigmoid(let normalizes, let factor):
                    ds[expert] += Double(factor) * (normalizes ? (d - mean) / sum : d)
                }
            }
            let product = zip(ds, s).reduce(0) { $0 + $1.0 * $1.1 }
            for e in 0..<E {
                if case .sigmoid = routing {
                    dx[r * E + e] = ds[e] * s[e] * (1 - s[e])
                } else {
                    dx[r * E + e] = s[e] * (ds[e] - product)
                }
            }
        }
        dLogits.values = dx
    }

    func addLoad(
        _ load: ReferenceTensor, chosen: ReferenceTensor, scores: ReferenceTensor, shape: ExpertShape
    ) {
        let E = shape.experts
        var result = load.values
        for expert in chosen.integers { result[expert] += 1 }
        for (index, score) in scores.values.enumerated() { result[E + index % E] += score }
        load.values = result
    }

    func balance(
        _ balance: ReferenceTensor, load: ReferenceTensor, rows: Int, factor: Float,
        addsTo scalar: ReferenceScalar
    ) {
        let (E, rows, load) = (balance.count, Double(rows), load.values)
        let factor = Double(factor) * Double(E)
        for e in 0..<E { scalar.value += factor * (load[e] / rows) * (load[E + e] / rows) }
        balance.values = (0..<E).map { factor * load[$0] / (rows * rows) }
    }

    private func softmax(_ x: [Double]) -> [Double] {
        let top = x.reduce(-.infinity, max)
        let sum = x.reduce(0) { $0 + exp($1 - top) }
        return x.map { exp($0 - top) / sum }
    }
}

// MARK: Rows of experts

extension ReferenceEngine {
    func sortByExpert(
        choice: ReferenceTensor, slot: ReferenceTensor, offsets: ReferenceTensor, chosen: ReferenceTensor,
        shape: ExpertShape
    ) {
        let chosen = chosen.integers
        var (order, places, starts) = ([Int](), [Int](repeating: 0, count: shape.slots), [0])
        for expert in 0..<shape.experts {
            for (index, other) in chosen.enumerated() where other == expert {
                places[index] = order.count
                order.append(index)
            }
            starts.append(order.count)
        }
        choice.integers = order
        slot.integers = places
        offsets.integers = starts
    }

    func gatherRows(
        _ y: ReferenceTensor, _ x: ReferenceTensor, choice: ReferenceTensor, columns: Int, shape: ExpertShape
    ) {
        let x = x.values
        y.values = choice.integers.flatMap { choice in
            let row = choice / shape.chosen
            return x[row * columns..<(row + 1) * columns]
        }
    }

    func combineRows(
        _ y: ReferenceTensor, _ x: ReferenceTensor, weights: ReferenceTensor?, slot: ReferenceTensor,
        columns: Int, shape: ExpertShape, adds: Bool
    ) {
        let (x, weights, slot) = (x.values, weights?.values, slot.integers)
        var result = adds ? y.values : zeros(shape.rows * columns)
        for choice in 0..<shape.slots {
            for c in 0..<columns {
                result[choice / shape.chosen * columns + c] +=
                    (weights?[choice] ?? 1) * x[slot[choice] * columns + c]
            }
        }
        y.values = result
    }

    func expertLinear(
        _ y: ReferenceTensor, _ x: ReferenceTensor, weight: ReferenceTensor, bias: ReferenceTensor?,
        offsets: ReferenceTensor, linear: LinearShape, shape: ExpertShape
    ) {
        forEachExpert(offsets, linear) { rows, inputs, outputs, weights, biases, linear in
            self.linear(
                y[outputs], x[inputs], weight: weight[weights], bias: bias?[biases], shape: linear,
                adds: false)
        }
    }

    func expertLinearBackward(
        dx: ReferenceTensor, dy: ReferenceTensor, weight: ReferenceTensor, offsets: ReferenceTensor,
        linear: LinearShape, shape: ExpertShape
    ) {
        forEachExpert(offsets, linear) { rows, inputs, outputs, weights, biases, linear in
            linearBackward(
                dx: dx[inputs], dy: dy[outputs], weight: weight[weights], shape: linear, adds: false)
        }
    }

    func expertLinearBackward(
        dWeight: ReferenceTensor?, dBias: ReferenceTensor?, dy: ReferenceTensor, x: ReferenceTensor,
        offsets: ReferenceTensor, linear: LinearShape, shape: ExpertShape, accumulate: Bool
    ) {
        forEachExpert(offsets, linear) { rows, inputs, outputs, weights, biases, linear in
            linearBackward(
                dWeight: dWeight?[weights], dBias: dBias?[biases], dy: dy[outputs], x: x[inputs],
                shape: linear, accumulate: accumulate)
        }
    }

    /// Calls `body` with each expert's slots, and where its inputs, outputs, weights and biases lie.
    private func forEachExpert(
        _ offsets: ReferenceTensor, _ linear: LinearShape,
        _ body: (Range<Int>, Range<Int>, Range<Int>, Range<Int>, Range<Int>, LinearShape) -> Void
    ) {
        let (I, O, offsets) = (linear.inputs, linear.outputs, offsets.integers)
        for (expert, (start, end)) in zip(offsets, offsets.dropFirst()).enumerated() {
            body(
                start..<end, start * I..<end * I, start * O..<end * O, expert * O * I..<(expert + 1) * O * I,
                expert * O..<(expert + 1) * O, LinearShape(rows: end - start, inputs: I, outputs: O))
        }
    }

    func weighRowsBackward(
        dWeights: ReferenceTensor, dHidden: ReferenceTensor, dOut: ReferenceTensor, hidden: ReferenceTensor,
        bias: ReferenceTensor?, weights: ReferenceTensor, choice: ReferenceTensor, offsets: ReferenceTensor,
        hiddenSize F: Int, columns C: Int, shape: ExpertShape
    ) {
        let (hidden, bias, weights) = (hidden.values, bias?.values, weights.values)
        let (choice, offsets) = (choice.integers, offsets.integers)
        var (dh, dOutValues, dw) = (dHidden.values, dOut.values, zeros(shape.slots))
        for expert in 0..<shape.experts {
            for s in offsets[expert]..<offsets[expert + 1] {
                for f in 0..<F {
                    dw[choice[s]] += hidden[s * F + f] * dh[s * F + f]
                    dh[s * F + f] *= weights[choice[s]]
                }
                for c in 0..<C {
                    dw[choice[s]] += dOutValues[s * C + c] * (bias?[expert * C + c] ?? 0)
                    dOutValues[s * C + c] *= weights[choice[s]]
                }
            }
        }
        dWeights.values = dw
        dHidden.values = dh
        dOut.values = dOutValues
    }

    func addGated(_ y: ReferenceTensor, _ x: ReferenceTensor, gate: ReferenceTensor, shape: RowShape) {
        let (x, gate) = (x.values, gate.values)
        var result = y.values
        for i in result.indices { result[i] += sigmoid(gate[i / shape.columns]) * x[i] }
        y.values = result
    }

    func addGatedBackward(
        dGate: ReferenceTensor, dHidden: ReferenceTensor, dOut: ReferenceTensor, hidden: ReferenceTensor,
        gate: ReferenceTensor, hiddenSize F: Int, shape: RowShape
    ) {
        let (hidden, dh) = (hidden.values, dHidden.values)
        let weights = gate.values.map(sigmoid)
        dGate.values = (0..<shape.rows).map { r in
            let d = (r * F..<(r + 1) * F).reduce(0) { $0 + hidden[$1] * dh[$1] }
            return d * weights[r] * (1 - weights[r])
        }
        dHidden.values = dh.enumerated().map { $1 * weights[$0 / F] }
        dOut.values = dOut.values.enumerated().map { $1 * weights[$0 / shape.columns] }
    }
}
