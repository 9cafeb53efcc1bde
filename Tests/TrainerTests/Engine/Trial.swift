import Testing

@testable import Trainer

/// An operation on chosen numbers, which any engine can carry out.
protocol Trial: Sendable {
    func perform<Device: Engine>(on bench: inout Bench<Device>) throws
}

/// One engine's buffers for one trial.
///
/// Each lies between margins, so that an operation that reads beyond its buffer becomes wrong, and one that
/// writes beyond it is found out.
struct Bench<Device: Engine> {
    let engine: Device
    private var outputs: [(name: String, whole: Device.Buffer)] = []
    private var numbers: [String: [Float]] = [:]
    private let margin = 19
    private let untouched: Float = 4_096.5

    init(_ engine: Device) { self.engine = engine }

    /// A buffer that is only read.
    func input(_ values: [Float]) throws -> Device.Buffer {
        try surrounded(values, by: .nan)[margin..<margin + values.count]
    }

    /// A buffer that is written; what it ends up with is part of the outcome.
    mutating func output(_ name: String, _ values: [Float]) throws -> Device.Buffer {
        let whole = try surrounded(values, by: untouched)
        outputs.append((name, whole))
        return whole[margin..<margin + values.count]
    }

    /// A buffer that is written whole: before, nothing in it is a number.
    mutating func output(_ name: String, count: Int) throws -> Device.Buffer {
        try output(name, [Float](repeating: .nan, count: count))
    }

    /// A number that is part of the outcome.
    mutating func note(_ name: String, _ number: Double) { numbers[name] = [Float(number)] }

    /// What was written, by name.
    func outcome() throws -> [String: [Float]] {
        var outcome = numbers
        for (name, whole) in outputs {
            let all = values(whole, on: engine)
            let inner = margin..<all.count - margin
            outcome[name] = Array(all[inner])
            try #require(
                all.indices.allSatisfy { inner.contains($0) || all[$0] == untouched },
                "something was written beyond \(name)")
        }
        return outcome
    }

    private func surrounded(_ values: [Float], by value: Float) throws -> Device.Buffer {
        let edge = [Float](repeating: value, count: margin)
        return try buffer(edge + values + edge, on: engine)
    }
}

/// Values on an engine.
func buffer<Device: Engine>(_ values: [Float], on engine: Device) throws -> Device.Buffer {
    let buffer = try engine.makeBuffer(count: values.count)
    engine.upload(values.span, to: buffer)
    return buffer
}

/// What `trial` writes on an engine.
func outcome<Device: Engine>(of trial: some Trial, on engine: Device) throws -> [String: [Float]] {
    var bench = Bench(engine)
    try trial.perform(on: &bench)
    return try bench.outcome()
}

/// Expects that the processors' engine and its twin agree, and that the number of threads changes no bit.
///
/// `tolerance` is a share of the largest value of each result.
func expectTwins(
    _ trial: some Trial, within tolerance: Float = 2e-6, sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let expected = try outcome(of: trial, on: ReferenceEngine())
    let found = try outcome(of: trial, on: CPUEngine(threads: 1))
    #expect(!expected.isEmpty && found.keys == expected.keys, sourceLocation: sourceLocation)
    for (name, values) in expected {
        let error = try relativeDifference(#require(found[name]), values)
        #expect(error <= tolerance, "\(name)", sourceLocation: sourceLocation)
    }
    for threads in 2...4 {
        let other = try outcome(of: trial, on: CPUEngine(threads: threads))
        for (name, values) in found {
            #expect(
                other[name]?.map(\.bitPattern) == values.map(\.bitPattern), "\(name) on \(threads) threads",
                sourceLocation: sourceLocation)
        }
    }
}

/// The largest difference, as a share of the largest value that was expected.
func relativeDifference(_ found: [Float], _ expected: [Float]) -> Float {
    let difference = largestDifference(found, expected)
    let scale = expected.reduce(0) { max($0, abs($1)) }
    return difference == 0 ? 0 : difference / scale
}
