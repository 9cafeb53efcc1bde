import OrderedCollections
import Testing

@testable import Formats

/// The references: the formulas in plain loops, thresholds by sorting.
@Suite("Tensors of several models as one")
struct MergingTests {
    private let shape = [397, 211]
    private var count: Int { 397 * 211 }

    private func tensor(_ name: String, _ numbers: [Float]) throws -> TensorExpression {
        try .stored(MemoryTensor(name: name, shape: shape, floats: numbers))
    }

    private func random(_ seed: UInt64, rounded: Bool = false) -> [Float] {
        var normal = NormalDistribution(seed: seed, deviation: 1)
        // Rounded numbers have many equal differences.
        return (0..<count).map { _ in rounded ? (normal.next() * 4).rounded() / 4 : normal.next() }
    }

    /// Nothing but the largest magnitudes; of equal ones the first.
    private func largest(_ share: Double, of numbers: [Float]) -> [Float] {
        let order = numbers.indices.sorted { (-abs(numbers[$0]), $0) < (-abs(numbers[$1]), $1) }
        var result = [Float](repeating: 0, count: numbers.count)
        for index in order.prefix(max(1, Int(share * Double(numbers.count)))) {
            result[index] = numbers[index]
        }
        return result
    }

    @Test func anArc() throws {
        let (a, b) = (random(1), random(2))
        let point = try tensor("a", a).interpolated(to: tensor("b", b), at: 0.3, as: .f32).floats()
        func dot(_ x: [Float], _ y: [Float]) -> Double {
            zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        let weights = TensorExpression.arcWeights(dot: dot(a, b), dot(a, a), dot(b, b), part: 0.3)
        #expect(isNear(point, zip(a, b).map { weights[0] * $0 + weights[1] * $1 }, within: 1e-6))
        // Along one direction it is a line.
        let line = try tensor("a", a).interpolated(to: tensor("c", a.map { 2 * $0 }), at: 0.25, as: .f32)
        #expect(isNear(try line.floats(), a.map { 0.75 * $0 + 0.25 * (2 * $0) }))
        #expect(isNear(try tensor("a", a).interpolated(to: tensor("b", b), at: 0, as: .f32).floats(), a))
    }

    /// A third of a right angle, half of one of 60 degrees, whatever the lengths; and lines.
    @Test(
        arguments: [
            (0, 4, 9, 1.0 / 3, [0.8660254, 0.5]), (3, 4, 9, 0.5, [0.57735027, 0.57735027]),
            (6, 4, 9, 0.25, [0.75, 0.25]), (-6, 4, 9, 0.25, [0.75, 0.25]),
            (0, 0, 9, 0.5, [0.70710677, 0.70710677]),
        ] as [(Double, Double, Double, Double, [Float])])
    func weightsOfAnArc(dot: Double, first: Double, second: Double, part: Double, expected: [Float]) {
        let weights = TensorExpression.arcWeights(dot: dot, first, second, part: part)
        #expect(zip(weights, expected).allSatisfy { abs($0 - $1) < 1e-6 })
    }

    /// Whether numbers are the same; lists of a hundred thousand are nothing to print.
    private func isNear(_ found: [Float], _ expected: [Float], within bound: Float = 0) -> Bool {
        found.count == expected.count && zip(found, expected).allSatisfy { abs($0 - $1) <= bound }
    }

    @Test(arguments: [false, true]) func taskArithmetic(normalizes: Bool) throws {
        let (base, a, b) = (random(1), random(2), random(3))
        let vectors = TaskVectors(
            [.init(weight: 0.5), .init(weight: 0.25)], normalizes: normalizes, factor: 0.75)
        let sum = try tensor("base", base).adding(vectors, of: [tensor("a", a), tensor("b", b)], as: .f32)
        let factor: Float = normalizes ? 0.75 / 0.75 : 0.75
        let expected = base.indices.map {
            base[$0] + factor * (0.5 * (a[$0] - base[$0]) + 0.25 * (b[$0] - base[$0]))
        }
        #expect(isNear(try sum.floats(), expected))
        let same = try tensor("base", base)
        #expect(isNear(try same.adding(vectors, of: [same, same], as: .f32).floats(), base))
    }

    @Test(arguments: [TaskVectors.Election.sum, .count], [false, true])
    func ties(election: TaskVectors.Election, rounded: Bool) throws {
        let models = (0..<4).map { random($0 + 5, rounded: rounded) }
        let (weights, shares): ([Float], [Double]) = ([0.5, 0.3, -0.2], [0.5, 0.1, 0.77])
        let rule = TaskVectors(
            zip(weights, shares).map { .init(weight: $0, kept: .largest($1)) }, election: election,
            normalizes: true)
        let tensors = try models.enumerated().map { try tensor("\($0.offset)", $0.element) }
        let sum = try tensors[0].adding(rule, of: Array(tensors[1...]), as: .f32)
        let deltas = zip(models[1...], shares).map { model, share in
            largest(share, of: zip(model, models[0]).map { $0 - $1 })
        }
        let expected = models[0].indices.map { index -> Float in
            let parts = zip(deltas, weights).map { $0[index] * $1 }
            func sign(_ x: Float) -> Float { x > 0 ? 1 : x < 0 ? -1 : 0 }
            let vote = parts.reduce(Float(0)) { $0 + (election == .count ? sign($1) : $1) }
            let chosen: Float = vote >= 0 ? 1 : -1
            let agreeing = parts.indices.filter { sign(parts[$0]) == chosen }
            let divisor = agreeing.reduce(Float(0)) { $0 + weights[$1] }
            let total = agreeing.reduce(Float(0)) { $0 + parts[$1] }
            return models[0][index] + total / (divisor == 0 ? 1 : divisor)
        }
        #expect(isNear(try sum.floats(), expected))
        // Any part of it is what it is in the whole, wherever tiles begin.
        let part = try sum.rows(311..<323)
        #expect(isNear(try part.floats(), Array(expected[311 * 211..<323 * 211])))
        let alone = try tensors[0].adding(rule, of: Array(tensors[1...]), as: .f32).rows(313..<397).floats()
        #expect(isNear(alone, Array(expected[(313 * 211)...])))
    }

    @Test func droppedAtRandom() throws {
        let (base, a) = (random(1), random(2))
        let rule = TaskVectors([.init(weight: 1, kept: .random(0.3, seed: 7))], rescales: true)
        let zero = [Float](repeating: 0, count: count)
        let deltas = zip(a, base).map { $0 - $1 }
        let sum = try tensor("z", zero).adding(rule, of: [tensor("d", deltas)], as: .f32)
        let numbers = try sum.floats()
        let kept = numbers.indices.filter { numbers[$0] != 0 }
        // Three standard deviations of a binomial distribution.
        let spread = 3 * (0.3 * 0.7 / Double(count)).squareRoot()
        #expect(abs(Double(kept.count) / Double(count) - 0.3) < spread)
        let all = deltas.reduce(0) { $0 + Double(abs($1)) }
        let left = kept.reduce(0) { $0 + Double(abs(deltas[$1])) }
        #expect(kept.allSatisfy { numbers[$0] == Float(all / left) * deltas[$0] })
        #expect(isNear(try sum.rows(300..<310).floats(), Array(numbers[300 * 211..<310 * 211])))
        let other = TaskVectors([.init(weight: 1, kept: .random(0.3, seed: 8))], rescales: true)
        let again = try tensor("z", zero).adding(other, of: [tensor("d", deltas)], as: .f32).floats()
        let both = kept.count { again[$0] != 0 }
        #expect(abs(Double(both) / Double(kept.count) - 0.3) < 0.02)
    }

    @Test func nothingAndEverything() throws {
        let (base, a) = (try tensor("base", random(1)), try tensor("a", random(2)))
        for kept in [TaskVectors.Kept.largest(0), .random(0, seed: 1)] {
            let rule = TaskVectors([.init(weight: 1, kept: kept)], rescales: true)
            #expect(try base.adding(rule, of: [a], as: .f32).firstDifference(from: base) == nil)
        }
        let whole = try base.adding(TaskVectors([.init(weight: 1)]), of: [a], as: .f32)
        for kept in [TaskVectors.Kept.largest(1), .random(1, seed: 1)] {
            let rule = TaskVectors([.init(weight: 1, kept: kept)], rescales: true)
            #expect(try base.adding(rule, of: [a], as: .f32).firstDifference(from: whole) == nil)
        }
        #expect(throws: UserFacingError.self) { try base.adding(TaskVectors([]), of: [a], as: .f32) }
        #expect(throws: UserFacingError.self) { try base.interpolated(to: a, at: .infinity, as: .f32) }
    }

    @Test func aManifestKeepsThem() throws {
        let leaves = try (0..<3).map {
            try Provenance.copied(file: $0, tensor: "w", offset: 8, type: .bf16, shape: [4, 2])
        }
        let vectors = TaskVectors(
            [
                .init(weight: 0.1, kept: .random(0.3, seed: .max)),
                .init(weight: -2, kept: .largest(0.7)),
            ], rescales: true, election: .count, normalizes: true, factor: 0.3)
        let manifest = Manifest(
            tool: "test", operations: [], sources: (0..<3).map { .init(path: "\($0)", bytes: 1) },
            provenance: [
                "a": try leaves[0].interpolated(to: leaves[1], at: 0.1, as: .f32),
                "b": try leaves[0].adding(vectors, of: [leaves[1], leaves[2]], as: .bf16),
                "c": try leaves[0].adding(TaskVectors([.init(weight: 1)]), of: [leaves[1]], as: .f16),
            ])
        let read = try Manifest(
            JSON(parsing: manifest.serialized(), file: "surgery.json"), file: "surgery.json")
        #expect(read == manifest)
        #expect(read.lineage["b"]?.kind == .changed)
    }
}
