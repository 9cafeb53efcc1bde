internal import Formats

/// What a part of a configuration says of a method's parameters.
struct MergeSettings: Sendable {
    /// The value of a parameter.
    enum Value: Sendable {
        /// One number; a flag is 1 or 0.
        case number(Double)
        /// Numbers between which it goes along the layers; a flag takes the nearest one before.
        case gradient([Double])
    }

    /// The value for tensors whose name has something in it.
    struct Condition: Sendable {
        /// What tells it from all others of the file.
        let id: Int
        /// What a name must have in it; nil for any name.
        let filter: String?
        let value: Value
        let line: Int

        /// Whether it is for a tensor.
        func holds(for tensor: String) -> Bool { filter.map { tensor.contains($0) } ?? true }
    }

    /// The conditions of each parameter, of which the first that holds counts.
    var values: [MergeParameter: [Condition]] = [:]

    /// What follows for a tensor; nil when nothing is said.
    ///
    /// - Parameters:
    ///   - parameter: which is wanted.
    ///   - tensor: the tensor's name.
    ///   - t: how far along the layers of its slice it is, from 0 to 1.
    /// - Returns: the value of the first condition that holds.
    func value(of parameter: MergeParameter, for tensor: String, at t: Double) -> Double? {
        values[parameter]?.first { $0.holds(for: tensor) }?.value.value(at: t, isFlag: parameter.isFlag)
    }
}

extension MergeSettings.Value {
    /// The value so far along the layers.
    func value(at t: Double, isFlag: Bool) -> Double {
        switch self {
        case .number(let number): return number
        case .gradient(let numbers):
            let place = t * Double(numbers.count - 1)
            let first = min(Int(place), numbers.count - 1)
            if isFlag { return numbers[first] }
            let share = place - Double(first)
            return (1 - share) * numbers[first] + share * numbers[min(first + 1, numbers.count - 1)]
        }
    }
}
