internal import CKernels
internal import Foundation

extension CPUEngine {
    /// See ``Engine/gradientNorm(_:to:)``.
    public func gradientNorm(_ gradients: [Tensor<CPUBuffer>], to norm: CPUScalar) {
        let pieces = Pieces(of: gradients.map(\.count), length: 65_536)
        norm.value = unsafe withUnsafeTemporaryAllocation(of: Double.self, capacity: pieces.count) { sums in
            unsafe sums.initialize(repeating: 0)
            pool.run(.optimizer, pieces.count) { task, _ in
                let (list, range) = pieces[task]
                unsafe sums[task] = gradients[list].sumOfSquares(range)
            }
            // Each tensor's sum by itself, then all of them.
            var squares = 0.0
            for list in gradients.indices {
                squares += pieces.tasks(of: list).reduce(0) { unsafe $0 + sums[$1] }
            }
            return squares.squareRoot()
        }
    }

    /// See ``Engine/adamW(_:norm:clip:)``.
    public func adamW(_ updates: [AdamWUpdate<CPUBuffer>], norm: CPUScalar, clip: Double?) {
        let norm = norm.value
        let kept = clip.map { Float(min(1, $0 / (norm + 1e-6))) } ?? 1
        let parts = updates.map { AdamWParts($0, gradientScale: kept) }
        for update in updates {
            let count = update.weights.count
            precondition(
                update.gradients.count == count && update.mean.count == count && update.square.count == count)
            precondition(update.runs.isEmpty || update.runs.reduce(0) { $0 + $1.count } == count)
        }
        let pieces = Pieces(of: updates.map(\.weights.count), length: 16_384)
        pool.run(.optimizer, pieces.count) { task, _ in
            let (list, range) = pieces[task]
            let update = updates[list]
            guard update.gradients.precision != .f32 || update.mean.precision != .f32 else {
                return wholeStep(range, update, parts[list])
            }
            // Packed values a block at a time, so that what is unpacked stays in the nearest cache.
            let size = Precision.block
            for start in stride(from: range.lowerBound, to: range.upperBound, by: size) {
                packedStep(start..<min(start + size, range.upperBound), update, parts[list])
            }
        }
    }
}

/// Lists cut into pieces of one length each, numbered from the first list's first on.
private struct Pieces {
    private let counts: [Int], length: Int
    /// The number of each list's first piece, and of all pieces.
    private let starts: [Int]

    init(of counts: [Int], length: Int) {
        self.counts = counts
        self.length = length
        var starts = [0]
        for count in counts { starts.append((starts.last ?? 0) + (count + length - 1) / length) }
        self.starts = starts
    }

    var count: Int { starts.last ?? 0 }

    /// The pieces of a list.
    func tasks(of list: Int) -> Range<Int> { starts[list]..<starts[list + 1] }

    /// The list that a piece belongs to, and where it lies in that list.
    subscript(task: Int) -> (list: Int, range: Range<Int>) {
        var (low, high) = (0, counts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= task { low = middle } else { high = middle }
        }
        // Lists without values have no pieces, and begin where the next one does.
        let start = (task - starts[low]) * length
        return (low, start..<min(start + length, counts[low]))
    }
}

/// What the values of an update are moved by, run by run.
private struct AdamWParts: Sendable {
    /// Where each run ends, and its constants; nil where it is frozen.
    private let runs: [(end: Int, constants: ck_adamw?)]

    init(_ update: AdamWUpdate<CPUBuffer>, gradientScale: Float) {
        guard !update.runs.isEmpty else {
            runs = [(update.weights.count, ck_adamw(update.step, gradientScale: gradientScale))]
            return
        }
        var end = 0
        runs = update.runs.map { run in
            var step = update.step
            (step.rate, step.decay) = (run.rate, run.decay)
            end += run.count
            return (end, run.isFrozen ? nil : ck_adamw(step, gradientScale: gradientScale))
        }
    }

    /// The runs that values belong to, each with what part of the values it has, and its constants where it is moved.
    func forEach(in range: Range<Int>, _ body: (Range<Int>, ck_adamw?) -> Void) {
        var (low, high) = (0, runs.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].end <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(runs[low].end, range.upperBound)
            if start < end { body(start..<end, runs[low].constants) }
            (start, low) = (max(start, end), low + 1)
        }
    }
}

/// A step on values that are all kept in float32.
private func wholeStep(_ range: Range<Int>, _ update: AdamWUpdate<CPUBuffer>, _ parts: AdamWParts) {
    parts.forEach(in: range) { range, constants in
        let start = range.lowerBound
        unsafe step(
            update.weights.floats + start, update.gradients.floats + start, update.mean.floats + start,
            update.square.floats + start, range.count, constants)
    }
}

/// A step on values that are moved alike; with no constants they are frozen, and have no moments.
private func step(
    _ weights: UnsafeMutablePointer<Float>, _ gradients: UnsafePointer<Float>,
    _ mean: UnsafeMutablePointer<Float>, _ square: UnsafeMutablePointer<Float>, _ count: Int,
    _ constants: ck_adamw?
) {
    guard let constants else {
        unsafe mean.update(repeating: 0, count: count)
        unsafe square.update(repeating: 0, count: count)
        return
    }
    unsafe withUnsafePointer(to: constants) {
        unsafe ck_adamw_step(weights, gradients, mean, square, count, $0)
    }
}

/// A step on one block: what is packed is unpacked, and the moments are packed again.
private func packedStep(_ range: Range<Int>, _ update: AdamWUpdate<CPUBuffer>, _ parts: AdamWParts) {
    let (gradients, mean, square) = (update.gradients, update.mean, update.square)
    let number = UInt32(truncatingIfNeeded: update.step.step)
    let (start, count) = (range.lowerBound, range.count)
    let first = UInt32(truncatingIfNeeded: mean.start + start)
    let (meanKey, squareKey) = (number &* 0x2545_F491, number &* 0x2545_F491 &+ 0x9E37_79B1)
    let size = Precision.block
    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: 3 * size) { values in
        guard let base = values.baseAddress else { return }
        let g = unsafe gradients.unpacked(range, into: base)
        let (m, v) = unsafe (base + size, base + 2 * size)
        let w = unsafe update.weights.floats + start
        func move(_ m: UnsafeMutablePointer<Float>, _ v: UnsafeMutablePointer<Float>) {
            parts.forEach(in: range) { part, constants in
                let place = part.lowerBound - start
                unsafe step(w + place, g + place, m + place, v + place, part.count, constants)
            }
        }
        switch mean.precision {
        case .f16, .int32: preconditionFailure("moments are not kept in this precision")
        case .f32: unsafe move(mean.floats + start, square.floats + start)
        case .bf16:
            let codes = unsafe (
                mean.storage.values(UInt16.self) + start, square.storage.values(UInt16.self) + start
            )
            unsafe ck_bf16_to_f32(m, codes.0, count)
            unsafe ck_bf16_to_f32(v, codes.1, count)
            unsafe move(m, v)
            unsafe ck_pack_bf16(codes.0, m, count, first, meanKey)
            unsafe ck_pack_bf16(codes.1, v, count, first, squareKey)
        case .int8:
            let block = start / size
            let codes = unsafe (
                mean.storage.values(Int8.self) + start, square.storage.values(UInt8.self) + start
            )
            let scales = unsafe (mean.scales.pointer + block, square.scales.pointer + block)
            unsafe ck_unpack_mean(m, codes.0, count, scales.0.pointee)
            unsafe ck_unpack_square(v, codes.1, count, scales.1.pointee)
            unsafe move(m, v)
            unsafe scales.0.pointee = ck_pack_mean(codes.0, m, count, first, meanKey)
            unsafe scales.1.pointee = ck_pack_square(codes.1, v, count, first, squareKey)
        }
    }
}

extension ck_adamw {
    /// The kernels' view of `step`.
    fileprivate init(_ step: AdamWStep, gradientScale: Float) {
        // In double precision: in float32 the differences would keep few digits.
        func correction(_ beta: Float) -> Float { Float(1 / (1 - pow(Double(beta), Double(step.step)))) }
        self.init(
            rate: step.rate, beta1: step.beta1, beta2: step.beta2, epsilon: step.epsilon, decay: step.decay,
            correction1: correction(step.beta1), correction2: correction(step.beta2),
            gradient_scale: gradientScale)
    }
}

extension Tensor<CPUBuffer> {
    /// The sum of the squares at `range`; packed values some at a time, so that they stay in the nearest cache.
    fileprivate func sumOfSquares(_ range: Range<Int>) -> Double {
        guard precision != .f32 else {
            return unsafe ck_sum_of_squares(storage.pointer + range.lowerBound, range.count)
        }
        let part = 1_024
        return unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: part) { memory in
            guard let memory = memory.baseAddress else { return 0 }
            var sum = 0.0
            for start in stride(from: range.lowerBound, to: range.upperBound, by: part) {
                let end = min(start + part, range.upperBound)
                sum += unsafe ck_sum_of_squares(unpacked(start..<end, into: memory), end - start)
            }
            return sum
        }
    }
}
