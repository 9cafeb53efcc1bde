import Testing

@testable import Trainer

/// An operation on chosen numbers, which any engine can carry out.
protocol Trial: Sendable {
    func perform<Device: Engine>(on bench: inout Bench<Device>) throws
}

/// One engine's tensors for one trial.
///
/// Each lies between margins, so that an operation that reads beyond its tensor becomes wrong, and one that
/// writes beyond it is found out.
struct Bench<Device: Engine> {
    let engine: Device
    private var outputs: [(name: String, whole: Device.Buffer, tensor: Tensor<Device.Buffer>)] = []
    private var numbers: [String: [Float]] = [:]
    private let margin = 19
    private let untouched: Float = 4_096.5

    init(_ engine: Device) { self.engine = engine }

    /// A tensor that is only read.
    func input(_ values: [Float]) throws -> Tensor<Device.Buffer> {
        try surrounded(.f32, count: values.count, by: .nan) { engine.upload(values.span, to: $0) }.tensor
    }

    /// Whole numbers that are only read.
    func input(_ values: [Int32]) throws -> Tensor<Device.Buffer> {
        try surrounded(.int32, count: values.count, by: .nan) { engine.upload(values.span, to: $0) }.tensor
    }

    /// A tensor that is written; what it ends up with is part of the outcome.
    mutating func output(_ name: String, _ values: [Float]) throws -> Tensor<Device.Buffer> {
        let (whole, tensor) = try surrounded(.f32, count: values.count, by: untouched) {
            engine.upload(values.span, to: $0)
        }
        outputs.append((name, whole, tensor))
        return tensor
    }

    /// A tensor that is written whole: before, nothing in it is a number.
    mutating func output(_ name: String, count: Int) throws -> Tensor<Device.Buffer> {
        try output(name, [Float](repeating: .nan, count: count))
    }

    /// Whole numbers that are written; before, all are −1.
    mutating func output(_ name: String, integers count: Int) throws -> Tensor<Device.Buffer> {
        let values = [Int32](repeating: -1, count: count)
        let (whole, tensor) = try surrounded(.int32, count: count, by: untouched) {
            engine.upload(values.span, to: $0)
        }
        outputs.append((name, whole, tensor))
        return tensor
    }

    /// A number that is part of the outcome.
    mutating func note(_ name: String, _ number: Double) { numbers[name] = [Float(number)] }

    /// What was written, by name.
    func outcome() throws -> [String: [Float]] {
        var outcome = numbers
        for (name, whole, tensor) in outputs {
            outcome[name] = values(tensor, on: engine)
            let all = values(Tensor(whole), on: engine)
            try #require(
                (all.prefix(margin) + all.suffix(margin)).allSatisfy { $0 == untouched },
                "something was written beyond \(name)")
        }
        return outcome
    }

    private func surrounded(
        _ precision: Precision, count: Int, by value: Float, fill: (Tensor<Device.Buffer>) -> Void
    ) throws -> (whole: Device.Buffer, tensor: Tensor<Device.Buffer>) {
        let whole = try engine.makeBuffer(count: count + 2 * margin)
        let edges = [Float](repeating: value, count: whole.count)
        engine.upload(edges.span, to: Tensor(whole))
        let tensor = Tensor(Region(precision, start: margin, count: count), of: whole)
        fill(tensor)
        return (whole, tensor)
    }
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
    for (name, values) in expected where !values.isEmpty {
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
