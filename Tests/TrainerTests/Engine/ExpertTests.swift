import Models
import Testing

@testable import Trainer

private struct RoutingTrial: Trial, CustomTestStringConvertible {
    var shape: ExpertShape
    var routing: Routing
    var scale: Float = 3
    var hasCorrection = false

    var testDescription: String {
        "\(routing), \(shape.rows) rows, \(shape.chosen) of \(shape.experts), correction \(hasCorrection)"
    }

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        let E = shape.experts
        var numbers = Numbers(seed: shape.rows * E)
        let logits = numbers.floats(shape.rows * E, scale: scale)
        let dWeights = try bench.input(numbers.floats(shape.slots))
        let balance = try bench.input(numbers.floats(E))
        let correction = try bench.input(numbers.floats(E))
        let chosen = try bench.output("chosen", integers: shape.slots)
        let weights = try bench.output("weights", count: shape.slots)
        let scores = try bench.output("scores", logits)
        engine.route(
            chosen: chosen, weights: weights, logits: scores, correction: hasCorrection ? correction : nil,
            routing: routing, shape: shape)
        for balance in [nil, balance] {
            engine.routeBackward(
                dLogits: try bench.output(
                    "dLogits\(balance == nil ? "" : ", balanced")", count: logits.count),
                dWeights: dWeights, chosen: chosen, weights: weights, scores: scores, balance: balance,
                routing: routing, shape: shape)
        }
        let load = try bench.output("load", numbers.floats(2 * E))
        engine.addLoad(load, chosen: chosen, scores: scores, shape: shape)
        let loss = engine.makeScalar()
        engine.set(loss, to: 1)
        engine.balance(
            try bench.output("balance", count: E), load: load, rows: 3 * shape.rows, factor: 0.1,
            addsTo: loss)
        bench.note("loss", engine.read(loss))
        // In place, which only the last use of the scores may be.
        let other = try bench.output("scores, then dLogits", logits)
        engine.route(
            chosen: try bench.output("chosen again", integers: shape.slots),
            weights: try bench.output("weights again", count: shape.slots), logits: other,
            correction: hasCorrection ? correction : nil, routing: routing, shape: shape)
        engine.routeBackward(
            dLogits: other, dWeights: dWeights, chosen: chosen, weights: weights, scores: other,
            balance: balance, routing: routing, shape: shape)
    }
}

/// Which experts each row chooses; the fifth of five or more is chosen by nobody.
private func choices(_ shape: ExpertShape, _ numbers: inout Numbers) -> [Int32] {
    (0..<shape.rows).flatMap { _ in
        let all = (0..<Int32(shape.experts)).filter { $0 != 4 || shape.experts == shape.chosen }
        return all.shuffled(using: &numbers).prefix(shape.chosen)
    }
}

private struct ExpertTrial: Trial {
    var shape: ExpertShape
    var linear: LinearShape

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        let (S, E, I, O) = (shape.slots, shape.experts, linear.inputs, linear.outputs)
        var numbers = Numbers(seed: S + I)
        let choice = try bench.output("choice", integers: S)
        let slot = try bench.output("slot", integers: S)
        let offsets = try bench.output("offsets", integers: E + 1)
        engine.sortByExpert(
            choice: choice, slot: slot, offsets: offsets,
            chosen: try bench.input(choices(shape, &numbers)), shape: shape)
        engine.gatherRows(
            try bench.output("gathered", count: S * I), try bench.input(numbers.floats(shape.rows * I)),
            choice: choice, columns: I, shape: shape)

        let (x, dy) = (numbers.floats(S * I), numbers.floats(S * O))
        let (weight, biases) = (numbers.floats(E * O * I), numbers.floats(E * O))
        for bias in [nil, try bench.input(biases)] {
            engine.expertLinear(
                try bench.output("y\(bias == nil ? "" : " with bias")", count: S * O), try bench.input(x),
                weight: try bench.input(weight), bias: bias, offsets: offsets, linear: linear, shape: shape)
        }
        engine.expertLinearBackward(
            dx: try bench.output("dx", count: S * I), dy: try bench.input(dy),
            weight: try bench.input(weight), offsets: offsets, linear: linear, shape: shape)
        engine.expertLinearBackward(
            dWeight: try bench.output("dWeight", count: weight.count),
            dBias: try bench.output("dBias", count: E * O), dy: try bench.input(dy), x: try bench.input(x),
            offsets: offsets, linear: linear, shape: shape, accumulate: false)
        engine.expertLinearBackward(
            dWeight: try bench.output("dWeight, added to", weight),
            dBias: try bench.output("dBias, added to", biases), dy: try bench.input(dy),
            x: try bench.input(x), offsets: offsets, linear: linear, shape: shape, accumulate: true)

        let weights = try bench.input(numbers.floats(S))
        for (name, weights) in [("combined", weights), ("summed", nil)] {
            engine.combineRows(
                try bench.output(name, count: shape.rows * O), try bench.input(dy), weights: weights,
                slot: slot, columns: O, shape: shape, adds: false)
            engine.combineRows(
                try bench.output("\(name), added to", numbers.floats(shape.rows * O)), try bench.input(dy),
                weights: weights, slot: slot, columns: O, shape: shape, adds: true)
        }
        for bias in [nil, try bench.input(biases)] {
            let name = bias == nil ? "" : " with bias"
            engine.weighRowsBackward(
                dWeights: try bench.output("dWeights\(name)", count: S),
                dHidden: try bench.output("dHidden\(name)", numbers.floats(S * I)),
                dOut: try bench.output("dOut\(name)", dy), hidden: try bench.input(x), bias: bias,
                weights: weights, choice: choice, offsets: offsets, hiddenSize: I, columns: O, shape: shape)
        }
    }
}

private struct GatedSumTrial: Trial {
    var shape: RowShape
    var hiddenSize: Int

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: shape.count)
        let gate = try bench.input(numbers.floats(shape.rows, scale: 5))
        let hidden = numbers.floats(shape.rows * hiddenSize)
        bench.engine.addGated(
            try bench.output("y", numbers.floats(shape.count)), try bench.input(numbers.floats(shape.count)),
            gate: gate, shape: shape)
        bench.engine.addGatedBackward(
            dGate: try bench.output("dGate", count: shape.rows),
            dHidden: try bench.output("dHidden", numbers.floats(hidden.count)),
            dOut: try bench.output("dOut", numbers.floats(shape.count)), hidden: try bench.input(hidden),
            gate: gate, hiddenSize: hiddenSize, shape: shape)
    }
}

@Suite struct ExpertTests {
    private static let routings = [
        Routing.softmax(normalizes: false), .softmax(normalizes: true), .softmaxOfChosen,
        .sigmoid(normalizes: false, factor: 1), .sigmoid(normalizes: true, factor: 2.5),
    ]
    private static let shapes = [
        ExpertShape(rows: 1, experts: 3, chosen: 2), ExpertShape(rows: 7, experts: 5, chosen: 2),
        ExpertShape(rows: 33, experts: 8, chosen: 8), ExpertShape(rows: 700, experts: 64, chosen: 6),
    ]

    @Test(arguments: routings, shapes) func twinsOfRouting(routing: Routing, shape: ExpertShape) throws {
        for hasCorrection in [false, true] {
            try expectTwins(
                RoutingTrial(shape: shape, routing: routing, hasCorrection: hasCorrection), within: 3e-6)
        }
    }

    @Test(arguments: [Routing.softmax(normalizes: false), .sigmoid(normalizes: false, factor: 1)])
    func twinsOfASingleChoice(routing: Routing) throws {
        let shape = ExpertShape(rows: 40, experts: 6, chosen: 1)
        try expectTwins(RoutingTrial(shape: shape, routing: routing), within: 3e-6)
    }

    /// A single choice whose weight is made to sum to one weighs one to the last bit, and teaches the router nothing.
    @Test(arguments: [
        Routing.softmax(normalizes: true), .softmaxOfChosen, .sigmoid(normalizes: true, factor: 2.5),
    ])
    func aSingleChoiceCountsWhole(routing: Routing) throws {
        let shape = ExpertShape(rows: 40, experts: 6, chosen: 1)
        let outcome = try outcome(
            of: RoutingTrial(shape: shape, routing: routing), on: CPUEngine(threads: 1))
        let weight: Float = if case .sigmoid(_, let factor) = routing { factor } else { 1 }
        #expect(outcome["weights"]?.allSatisfy { $0 == weight } == true)
        #expect(outcome["dLogits"]?.allSatisfy { $0 == 0 } == true)
    }

    /// Of equal scores the lower expert comes first.
    @Test(arguments: routings) func ties(routing: Routing) throws {
        let engine = try CPUEngine(threads: 1)
        let shape = ExpertShape(rows: 2, experts: 6, chosen: 3)
        let logits = try tensor([1, 2, 1, 2, 2, 0, 5, 5, 5, 5, 5, 5], on: engine)
        let chosen = try Tensor(count: 6, precision: .int32, on: engine)
        engine.route(
            chosen: chosen, weights: Tensor(try engine.makeBuffer(count: 6)), logits: logits, correction: nil,
            routing: routing, shape: shape)
        #expect(values(chosen, on: engine) == [1, 3, 4, 0, 1, 2])
    }

    /// What is not a number chooses experts that there are, each once, and is seen in the weights.
    @Test(arguments: routings) func brokenLogits(routing: Routing) throws {
        let engine = try CPUEngine(threads: 1)
        let shape = ExpertShape(rows: 2, experts: 4, chosen: 2)
        let logits = try tensor([.nan, .nan, .nan, .nan, 1, .nan, 2, 3], on: engine)
        let chosen = try Tensor(count: 4, precision: .int32, on: engine)
        let weights = Tensor(try engine.makeBuffer(count: 4))
        engine.route(
            chosen: chosen, weights: weights, logits: logits, correction: nil, routing: routing, shape: shape)
        let experts = values(chosen, on: engine)
        #expect(experts.allSatisfy { (0..<4).contains($0) })
        #expect(experts[0] != experts[1] && experts[2] != experts[3])
        #expect(values(weights, on: engine)[0].isNaN)
    }

    /// The correction takes part in the choice, not in the weights.
    @Test func corrections() throws {
        let engine = try CPUEngine(threads: 1)
        let shape = ExpertShape(rows: 1, experts: 3, chosen: 1)
        let chosen = try Tensor(count: 1, precision: .int32, on: engine)
        let weights = Tensor(try engine.makeBuffer(count: 1))
        engine.route(
            chosen: chosen, weights: weights, logits: try tensor([0, 2, 1], on: engine),
            correction: try tensor([0.9, 0, 0], on: engine),
            routing: .sigmoid(normalizes: false, factor: 3), shape: shape)
        #expect(values(chosen, on: engine) == [0] && abs(values(weights, on: engine)[0] - 1.5) < 1e-6)
    }

    @Test(arguments: routings, [(1, 3, 1), (2, 4, 2), (3, 5, 3)])
    func gradientsOfRouting(routing: Routing, size: (rows: Int, experts: Int, chosen: Int)) {
        let shape = ExpertShape(rows: size.rows, experts: size.experts, chosen: size.chosen)
        let (S, E) = (shape.slots, shape.experts)
        var numbers = Numbers(seed: E + 20)
        let engine = ReferenceEngine()
        let (logits, balance) = (numbers.doubles(shape.rows * E).map { 2 * $0 }, numbers.doubles(E))
        let dWeights = numbers.doubles(S)
        let (chosen, weights) = (
            ReferenceTensor([Int32](repeating: 0, count: S)), ReferenceTensor.zeros(S)
        )
        /// The scores, and the weights' and scores' part in a loss.
        func forward(_ logits: [Double]) -> (ReferenceTensor, Double) {
            let scores = ReferenceTensor(logits)
            engine.route(
                chosen: chosen, weights: weights, logits: scores, correction: nil, routing: routing,
                shape: shape)
            let balanced = scores.values.enumerated().reduce(0) { $0 + $1.1 * balance[$1.0 % E] }
            return (scores, dot(weights.values, dWeights) + balanced)
        }
        let (scores, _) = forward(logits)
        engine.routeBackward(
            dLogits: scores, dWeights: Tensor(dWeights), chosen: chosen, weights: weights, scores: scores,
            balance: Tensor(balance), routing: routing, shape: shape)
        expectGradient(scores.values, at: logits) { forward($0).1 }
    }

    /// The balance's gradient is that of its loss, the choices being given.
    @Test(arguments: shapes.prefix(3)) func gradientsOfBalance(_ shape: ExpertShape) {
        var numbers = Numbers(seed: shape.rows)
        let engine = ReferenceEngine()
        let chosen = ReferenceTensor(choices(shape, &numbers))
        let scores = numbers.doubles(shape.rows * shape.experts)
        let balance = ReferenceTensor.zeros(shape.experts)
        func loss(_ scores: [Double]) -> Double {
            let (load, scalar) = (ReferenceTensor.zeros(2 * shape.experts), engine.makeScalar())
            engine.addLoad(load, chosen: chosen, scores: Tensor(scores), shape: shape)
            engine.balance(balance, load: load, rows: shape.rows, factor: 0.3, addsTo: scalar)
            return engine.read(scalar)
        }
        _ = loss(scores)
        let gradient = scores.indices.map { balance.values[$0 % shape.experts] }
        expectGradient(gradient, at: scores) { loss($0) }
    }

    // A tile of a product is at most 512 by 768; 16,384 values are a piece.
    @Test(
        arguments: shapes + [ExpertShape(rows: 900, experts: 6, chosen: 1)],
        [(1, 1), (7, 5), (40, 33), (16, 900)])
    func twins(shape: ExpertShape, size: (inputs: Int, outputs: Int)) throws {
        guard shape.slots * size.inputs * size.outputs < 8_000_000 else { return }
        let linear = LinearShape(rows: shape.slots, inputs: size.inputs, outputs: size.outputs)
        try expectTwins(ExpertTrial(shape: shape, linear: linear), within: 4e-6)
    }

    @Test(arguments: [(1, 1, 1), (5, 7, 3), (300, 40, 70)])
    func twinsOfGatedSums(rows: Int, columns: Int, hiddenSize: Int) throws {
        try expectTwins(
            GatedSumTrial(shape: RowShape(rows: rows, columns: columns), hiddenSize: hiddenSize))
    }

    /// Only the rows that chose an expert are multiplied by it: R · K, whatever the number of experts.
    @Test func rowsMultiplied() throws {
        let engine = try CPUEngine(threads: 2)
        let shape = ExpertShape(rows: 50, experts: 16, chosen: 3)
        var bench = Bench(engine)
        try ExpertTrial(shape: shape, linear: LinearShape(rows: 150, inputs: 4, outputs: 6))
            .perform(on: &bench)
        #expect(engine.rowsMultiplied == 2 * 150)  // the trial multiplies with and without bias
        #expect(engine.operationSeconds[.experts] ?? 0 > 0)
    }

    /// Slots hold the rows in order; an expert that nobody chose has none.
    @Test func orderOfSlots() throws {
        let engine = try CPUEngine(threads: 1)
        let shape = ExpertShape(rows: 4, experts: 4, chosen: 2)
        let (choice, slot, offsets) = try (
            Tensor(count: 8, precision: .int32, on: engine), Tensor(count: 8, precision: .int32, on: engine),
            Tensor(count: 5, precision: .int32, on: engine)
        )
        engine.sortByExpert(
            choice: choice, slot: slot, offsets: offsets,
            chosen: try integers([3, 0, 0, 1, 3, 1, 0, 3], on: engine), shape: shape)
        #expect(values(choice, on: engine) == [1, 2, 6, 3, 5, 0, 4, 7])
        #expect(values(slot, on: engine) == [5, 0, 1, 3, 6, 4, 2, 7])
        #expect(values(offsets, on: engine) == [0, 3, 5, 5, 8])
    }

    /// A whole layer of experts with all its parts, backward against differences of what it computes.
    @Test(arguments: [(2, 3, 1), (3, 4, 2), (4, 6, 3)])
    func gradients(rows: Int, experts: Int, chosen: Int) {
        let layer = ExpertLayer(ExpertShape(rows: rows, experts: experts, chosen: chosen))
        let gradients = layer.backward()
        for (name, parameters) in layer.parameters {
            expectGradient(gradients[name] ?? [], at: parameters, within: 1e-6) { moved in
                var other = layer
                other.parameters[name] = moved
                return other.loss()
            }
        }
    }
}

/// Experts of two products with biases, and a gated shared expert of one, on the twin.
private struct ExpertLayer {
    let shape: ExpertShape
    let C = 3, F = 2
    /// A single choice that counts whole would teach the router nothing.
    private var routing: Routing { .softmax(normalizes: shape.chosen > 1) }
    var parameters: [String: [Double]] = [:]
    let dOut: [Double]
    private let engine = ReferenceEngine()

    init(_ shape: ExpertShape) {
        self.shape = shape
        var numbers = Numbers(seed: shape.rows)
        let E = shape.experts
        dOut = numbers.doubles(shape.rows * C)
        for (name, count) in [
            ("x", shape.rows * C), ("router", E * C), ("up", E * F * C), ("up bias", E * F),
            ("down", E * C * F), ("down bias", E * C), ("gate", C), ("shared", C * C),
        ] {
            parameters[name] = numbers.doubles(count)
        }
    }

    private subscript(name: String) -> ReferenceTensor { ReferenceTensor(parameters[name] ?? []) }
    private func linear(_ inputs: Int, _ outputs: Int) -> LinearShape {
        LinearShape(rows: shape.rows, inputs: inputs, outputs: outputs)
    }
    private static func integers(_ count: Int) -> ReferenceTensor {
        ReferenceTensor([Int32](repeating: 0, count: count))
    }

    /// What a pass keeps for the way back.
    private struct Pass {
        let logits: ReferenceTensor, weights: ReferenceTensor, chosen: ReferenceTensor
        let choice: ReferenceTensor, slot: ReferenceTensor, offsets: ReferenceTensor
        let gathered: ReferenceTensor, before: ReferenceTensor, hidden: ReferenceTensor
        let gate: ReferenceTensor, out: ReferenceTensor
    }

    private func forward() -> Pass {
        let (R, S, E) = (shape.rows, shape.slots, shape.experts)
        let pass = Pass(
            logits: .zeros(R * E), weights: .zeros(S), chosen: Self.integers(S), choice: Self.integers(S),
            slot: Self.integers(S), offsets: Self.integers(E + 1), gathered: .zeros(S * C),
            before: .zeros(S * F), hidden: .zeros(S * F), gate: .zeros(R), out: .zeros(R * C))
        let (x, results, shared) = (self["x"], ReferenceTensor.zeros(S * C), ReferenceTensor.zeros(R * C))
        engine.linear(
            pass.logits, x, weight: self["router"], bias: nil, shape: linear(C, E), adds: false)
        engine.route(
            chosen: pass.chosen, weights: pass.weights, logits: pass.logits, correction: nil,
            routing: routing, shape: shape)
        engine.sortByExpert(
            choice: pass.choice, slot: pass.slot, offsets: pass.offsets, chosen: pass.chosen, shape: shape)
        engine.gatherRows(pass.gathered, x, choice: pass.choice, columns: C, shape: shape)
        engine.expertLinear(
            pass.before, pass.gathered, weight: self["up"], bias: self["up bias"], offsets: pass.offsets,
            linear: linear(C, F), shape: shape)
        engine.activate(pass.hidden, pass.before, activation: .gelu)
        engine.expertLinear(
            results, pass.hidden, weight: self["down"], bias: self["down bias"], offsets: pass.offsets,
            linear: linear(F, C), shape: shape)
        engine.combineRows(
            pass.out, results, weights: pass.weights, slot: pass.slot, columns: C, shape: shape, adds: false)
        engine.linear(pass.gate, x, weight: self["gate"], bias: nil, shape: linear(C, 1), adds: false)
        engine.linear(shared, x, weight: self["shared"], bias: nil, shape: linear(C, C), adds: false)
        engine.addGated(pass.out, shared, gate: pass.gate, shape: RowShape(rows: shape.rows, columns: C))
        return pass
    }

    func loss() -> Double { dot(forward().out.values, dOut) }

    func backward() -> [String: [Double]] {
        let (R, S, E) = (shape.rows, shape.slots, shape.experts)
        let (pass, x) = (forward(), self["x"])
        let gradients = parameters.mapValues { ReferenceTensor.zeros($0.count) }
        let dx = gradients["x"] ?? .zeros(0)
        // The shared expert: its input is what enters its only product.
        let (dGate, dShared, dHidden) = (
            ReferenceTensor.zeros(R), ReferenceTensor(dOut), ReferenceTensor.zeros(R * C)
        )
        engine.linearBackward(
            dx: dHidden, dy: dShared, weight: self["shared"], shape: linear(C, C), adds: false)
        engine.addGatedBackward(
            dGate: dGate, dHidden: dHidden, dOut: dShared, hidden: x, gate: pass.gate, hiddenSize: C,
            shape: RowShape(rows: R, columns: C))
        engine.linearBackward(
            dWeight: gradients["shared"], dBias: nil, dy: dShared, x: x, shape: linear(C, C),
            accumulate: false)
        engine.linearBackward(
            dWeight: gradients["gate"], dBias: nil, dy: dGate, x: x, shape: linear(C, 1), accumulate: false)
        engine.add(dx, dx, dHidden, factor: 1)
        engine.linearBackward(dx: dx, dy: dGate, weight: self["gate"], shape: linear(C, 1), adds: true)
        // The experts.
        let (dSlots, dUp, dGathered, dWeights) = (
            ReferenceTensor.zeros(S * C), ReferenceTensor.zeros(S * F), ReferenceTensor.zeros(S * C),
            ReferenceTensor.zeros(S)
        )
        engine.gatherRows(dSlots, Tensor(dOut), choice: pass.choice, columns: C, shape: shape)
        engine.expertLinearBackward(
            dx: dUp, dy: dSlots, weight: self["down"], offsets: pass.offsets, linear: linear(F, C),
            shape: shape)
        engine.weighRowsBackward(
            dWeights: dWeights, dHidden: dUp, dOut: dSlots, hidden: pass.hidden, bias: self["down bias"],
            weights: pass.weights, choice: pass.choice, offsets: pass.offsets, hiddenSize: F, columns: C,
            shape: shape)
        engine.expertLinearBackward(
            dWeight: gradients["down"], dBias: gradients["down bias"], dy: dSlots, x: pass.hidden,
            offsets: pass.offsets, linear: linear(F, C), shape: shape, accumulate: false)
        engine.activateBackward(y: pass.hidden, x: pass.before, dy: dUp, activation: .gelu)
        engine.expertLinearBackward(
            dWeight: gradients["up"], dBias: gradients["up bias"], dy: pass.before, x: pass.gathered,
            offsets: pass.offsets, linear: linear(C, F), shape: shape, accumulate: false)
        engine.expertLinearBackward(
            dx: dGathered, dy: pass.before, weight: self["up"], offsets: pass.offsets, linear: linear(C, F),
            shape: shape)
        engine.combineRows(
            dx, dGathered, weights: nil, slot: pass.slot, columns: C, shape: shape, adds: true)
        engine.routeBackward(
            dLogits: pass.logits, dWeights: dWeights, chosen: pass.chosen, weights: pass.weights,
            scores: pass.logits, balance: nil, routing: routing, shape: shape)
        engine.linearBackward(
            dWeight: gradients["router"], dBias: nil, dy: pass.logits, x: x, shape: linear(C, E),
            accumulate: false)
        engine.linearBackward(
            dx: dx, dy: pass.logits, weight: self["router"], shape: linear(C, E), adds: true)
        return gradients.mapValues(\.values)
    }
}
