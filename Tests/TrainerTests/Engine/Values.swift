import Testing

@testable import Trainer

/// A tensor's values, whole numbers too.
func values<Device: Engine>(_ tensor: Tensor<Device.Buffer>, on engine: Device) -> [Float] {
    var values = [Float](repeating: .nan, count: tensor.count)
    var span = values.mutableSpan
    engine.download(tensor, to: &span)
    return values
}

/// Values on an engine.
func tensor<Device: Engine>(_ values: [Float], on engine: Device) throws -> Tensor<Device.Buffer> {
    let tensor = Tensor(try engine.makeBuffer(count: values.count))
    engine.upload(values.span, to: tensor)
    return tensor
}

/// Whole numbers on an engine.
func integers<Device: Engine>(_ values: [Int32], on engine: Device) throws -> Tensor<Device.Buffer> {
    let tensor = try Tensor(count: values.count, precision: .int32, on: engine)
    engine.upload(values.span, to: tensor)
    return tensor
}

/// The largest difference between two equally long lists.
func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
    precondition(a.count == b.count && !a.isEmpty)
    return zip(a, b).reduce(0) { $1.0.isFinite && $1.1.isFinite ? max($0, abs($1.0 - $1.1)) : .infinity }
}

/// The largest difference, as a share of the largest value that was expected.
func relativeDifference(_ found: [Float], _ expected: [Float]) -> Float {
    let difference = largestDifference(found, expected)
    let scale = expected.reduce(0) { max($0, abs($1)) }
    return difference == 0 ? 0 : difference / scale
}
