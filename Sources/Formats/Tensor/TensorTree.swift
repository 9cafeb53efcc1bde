/// A tensor as a tree: operations above, and at the leaves tensors that are made of no other.
///
/// The leaves decide what a tree is good for. A ``TensorExpression`` has leaves that can be read. A
/// ``Provenance`` has leaves that a manifest keeps. Both are built by the same methods, which check types and shapes.
///
/// Building a tree reads nothing. Trees are kept in a form in which as much as possible stays a plain copy. A cast to
/// the type that is there vanishes, and a cast of joined tensors casts each. What undoes another operation vanishes
/// with it: a second transposition, the first shape again, rows put back in their places.
///
/// A new operation needs a case in three places: ``made(_:of:)`` gives it a type and a shape,
/// ``TensorExpression/read(_:into:)`` its bytes, and `TensorOperation.json` its form in a manifest.
public struct TensorTree<Leaf: Sendable>: Sendable {
    /// What a tree is at its top.
    public enum Node: Sendable {
        /// A tensor that is made of no other.
        case leaf(Leaf)
        /// What an operation makes of other tensors.
        case made(TensorOperation, of: [TensorTree])
    }

    /// The type of the elements.
    public let type: ElementType
    /// The dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// What it is made of.
    public let node: Node
    /// How many elements it has.
    public let elementCount: Int
    /// How many bytes it takes.
    public let byteCount: Int
    /// What error messages call it: the name of a leaf; empty for what is made of others.
    public let name: String
    /// What reading keeps from one part to the next.
    let cache: ReadCache?

    private init(
        _ node: Node, name: String = "", type: ElementType, shape: [Int]
    ) throws(UserFacingError) {
        guard let elements = ElementType.elementCount(shape: shape),
            let bytes = type.byteCount(elements: elements)
        else { throw .uncountable(type: type, shape: shape) }
        self.init(node, name: name, type: type, shape: shape, elementCount: elements, byteCount: bytes)
    }

    private init(
        _ node: Node, name: String = "", type: ElementType, shape: [Int], elementCount: Int, byteCount: Int
    ) {
        self.node = node
        self.name = name
        self.type = type
        self.shape = shape
        self.elementCount = elementCount
        self.byteCount = byteCount
        switch node {
        case .made(.derived, _), .made(.interpolated, _), .made(.added, _): cache = ReadCache()
        default: cache = nil
        }
    }

    /// What error messages say of it.
    public var summary: TensorDescription { TensorDescription(name: name, type: type, shape: shape) }
}

/// What makes a tensor of others.
public enum TensorOperation: Sendable, Hashable {
    /// Nothing but zeros, made of no other tensor.
    case zeros(ElementType, shape: [Int])
    /// Tensors one below the other along the first axis.
    case joined
    /// Some of a tensor's rows: a part of its first axis.
    case rows(Range<Int>)
    /// A tensor's numbers in this type, rounded to nearest, ties to even.
    case cast(ElementType)
    /// A tensor with its last two axes exchanged.
    case transposed
    /// A tensor's elements in this shape.
    case reshaped([Int])
    /// A tensor's numbers times this, in float32, rounded to the type that they have.
    case scaled(Float)
    /// A tensor's numbers with noise mixed in, in float32, rounded to the type that they have.
    case noised(NoiseRule)
    /// The numbers that quantised values and their scales stand for, in this type.
    case dequantized(Dequantization, ElementType)
    /// Rows made of a tensor's rows.
    case derived(RowRule)
    /// The sum of tensors of one shape, each times its weight, in float32, rounded once to this type.
    case weighted([Float], ElementType)
    /// The point of the arc from one tensor to another that is this part of the way along, in float32, rounded once to this
    /// type.
    case interpolated(Float, ElementType)
    /// A tensor, and added to it what some others differ from it, thinned and weighted, in float32, rounded once to this type.
    case added(TaskVectors, ElementType)

    /// Whether it only moves elements, so that a cast may as well come before it.
    fileprivate var keepsElements: Bool {
        switch self {
        case .joined, .rows, .transposed, .reshaped: true
        default: false
        }
    }
}

extension TensorTree: Equatable where Leaf: Equatable {
    /// Whether both are made in the same way of the same leaves.
    public static func == (left: TensorTree, right: TensorTree) -> Bool {
        left.type == right.type && left.shape == right.shape && left.node == right.node
    }
}

extension TensorTree.Node: Equatable where Leaf: Equatable {}

// MARK: - Making trees

extension TensorTree {
    /// A tensor that is made of no other.
    ///
    /// - Throws: ``UserFacingError`` when no byte count fits the shape.
    public static func leaf(
        _ leaf: Leaf, name: String, type: ElementType, shape: [Int]
    ) throws(UserFacingError) -> TensorTree {
        try TensorTree(.leaf(leaf), name: name, type: type, shape: shape)
    }

    /// What an operation makes of some tensors.
    ///
    /// - Throws: ``UserFacingError`` when it can't be done to them.
    public static func made(
        _ operation: TensorOperation, of operands: [TensorTree]
    ) throws(UserFacingError) -> TensorTree {
        func operand() throws(UserFacingError) -> TensorTree {
            guard operands.count == 1 else { throw .wrongOperands(found: operands.count, expected: "one") }
            return operands[0]
        }
        switch operation {
        case .zeros(let type, let shape):
            guard operands.isEmpty else { throw .wrongOperands(found: operands.count, expected: "none") }
            return try .zeros(type, shape: shape)
        case .joined:
            guard !operands.isEmpty else { throw .wrongOperands(found: 0, expected: "at least one") }
            return try .joined(operands)
        case .rows(let range): return try operand().rows(range)
        case .cast(let type): return try operand().cast(to: type)
        case .transposed: return try operand().transposed()
        case .reshaped(let shape): return try operand().reshaped(to: shape)
        case .scaled(let factor): return try operand().scaled(by: factor)
        case .noised(let rule): return try operand().noised(rule)
        case .dequantized(let scheme, let type):
            guard operands.count == 2 else { throw .wrongOperands(found: operands.count, expected: "two") }
            return try operands[0].dequantized(by: operands[1], scheme, to: type)
        case .derived(let rule): return try operand().derived(rule)
        case .weighted(let weights, let type): return try .weighted(operands, by: weights, as: type)
        case .interpolated(let part, let type):
            guard operands.count == 2 else { throw .wrongOperands(found: operands.count, expected: "two") }
            return try operands[0].interpolated(to: operands[1], at: part, as: type)
        case .added(let vectors, let type):
            guard let base = operands.first else { throw .wrongOperands(found: 0, expected: "at least one") }
            return try base.adding(vectors, of: Array(operands.dropFirst()), as: type)
        }
    }

    /// What an operation makes that has been found to be possible.
    static func computed(
        _ operation: TensorOperation, of operands: [TensorTree], type: ElementType, shape: [Int]
    ) throws(UserFacingError) -> TensorTree {
        try TensorTree(.made(operation, of: operands), type: type, shape: shape)
    }

    /// Nothing but zeros.
    ///
    /// - Throws: ``UserFacingError`` when no byte count fits the shape.
    public static func zeros(_ type: ElementType, shape: [Int]) throws(UserFacingError) -> TensorTree {
        try TensorTree(.made(.zeros(type, shape: shape), of: []), type: type, shape: shape)
    }

    /// Zeros of the same type and shape.
    public func zeroed() -> TensorTree {
        TensorTree(
            .made(.zeros(type, shape: shape), of: []), type: type, shape: shape, elementCount: elementCount,
            byteCount: byteCount)
    }

    /// Tensors one below the other along the first axis.
    ///
    /// - Parameter parts: at least one; all of one type, and of one shape but for the first dimension.
    /// - Returns: a tensor with the rows of all, in order.
    /// - Throws: ``UserFacingError``.
    public static func joined(_ parts: [TensorTree]) throws(UserFacingError) -> TensorTree {
        guard let first = parts.first else { preconditionFailure("at least one tensor is joined") }
        if parts.count == 1 { return first }
        var rows = 0
        for part in parts {
            guard let height = part.shape.first, part.type == first.type, !first.shape.isEmpty,
                part.shape.dropFirst() == first.shape.dropFirst()
            else { throw .unjoinable(first: first.summary, other: part.summary) }
            let (sum, overflow) = rows.addingReportingOverflow(height)
            if overflow { throw .uncountable(type: part.type, shape: part.shape) }
            rows = sum
        }
        return try TensorTree(
            .made(.joined, of: parts), type: first.type, shape: [rows] + first.shape.dropFirst())
    }

    /// A part of the first axis.
    ///
    /// - Throws: ``UserFacingError`` when it lies outside, or begins or ends inside a byte.
    public func rows(_ range: Range<Int>) throws(UserFacingError) -> TensorTree {
        guard let height = shape.first, range.lowerBound >= 0, range.upperBound <= height,
            (range.lowerBound * (elementCount / max(height, 1)) * type.bits) % 8 == 0,
            let part = try? TensorTree(
                .made(.rows(range), of: [self]), type: type, shape: [range.count] + shape.dropFirst())
        else { throw .noRows(range, of: summary) }
        return range.count == height ? self : operand(at: range) ?? part
    }

    /// The same elements in another shape.
    ///
    /// - Throws: ``UserFacingError`` when that has another number of elements.
    public func reshaped(to shape: [Int]) throws(UserFacingError) -> TensorTree {
        if shape == self.shape { return self }
        guard ElementType.elementCount(shape: shape) == elementCount else {
            throw .cannotReshape(summary, to: shape)
        }
        if case .made(.reshaped, let operands) = node { return try operands[0].reshaped(to: shape) }
        return TensorTree(
            .made(.reshaped(shape), of: [self]), type: type, shape: shape, elementCount: elementCount,
            byteCount: byteCount)
    }

    /// The tensor with its last two axes exchanged: a matrix (R, C) becomes (C, R).
    ///
    /// - Throws: ``UserFacingError`` when there are fewer than two axes, or an element is no whole byte.
    public func transposed() throws(UserFacingError) -> TensorTree {
        guard shape.count >= 2, type.byteSize != nil else { throw .cannotTranspose(summary) }
        if case .made(.transposed, let operands) = node { return operands[0] }
        var exchanged = shape
        exchanged.swapAt(shape.count - 2, shape.count - 1)
        return TensorTree(
            .made(.transposed, of: [self]), type: type, shape: exchanged, elementCount: elementCount,
            byteCount: byteCount)
    }

    /// Rows made of this tensor's rows, the first axis being what a rule makes; the numbers are of the same type.
    ///
    /// - Throws: ``UserFacingError`` when the rule takes rows that are not there, or has to compute with
    ///   numbers that have no fraction.
    public func derived(_ rule: RowRule) throws(UserFacingError) -> TensorTree {
        guard let height = shape.first, rule.fits(height: height), type.byteSize != nil else {
            throw .cannotDerive(summary, rule: rule.name)
        }
        if case .gathered(let rows) = rule {
            if let original = try gathered(rows) { return original }
        } else if !FloatConversion.isKnown(from: .f64, to: type) {
            throw .cannotDerive(summary, rule: rule.name)
        }
        return try TensorTree(
            .made(.derived(rule), of: [self]), type: type, shape: [rule.count] + shape.dropFirst())
    }

    /// The numbers times a factor, of the same type.
    ///
    /// - Throws: ``UserFacingError`` when they have no fraction.
    public func scaled(by factor: Float) throws(UserFacingError) -> TensorTree {
        if factor == 1 { return self }
        guard isComputable else { throw .cannotCast(summary, to: .f32) }
        return TensorTree(
            .made(.scaled(factor), of: [self]), type: type, shape: shape, elementCount: elementCount,
            byteCount: byteCount)
    }

    /// The numbers with noise mixed in, of the same type.
    ///
    /// - Throws: ``UserFacingError`` when they have no fraction.
    public func noised(_ rule: NoiseRule) throws(UserFacingError) -> TensorTree {
        if rule.share == 0 { return self }
        guard isComputable else { throw .cannotCast(summary, to: .f32) }
        return TensorTree(
            .made(.noised(rule), of: [self]), type: type, shape: shape, elementCount: elementCount,
            byteCount: byteCount)
    }

    /// Whether its numbers can be computed with in float32 and rounded back.
    private var isComputable: Bool {
        FloatConversion.isKnown(from: type, to: .f32) && FloatConversion.isKnown(from: .f32, to: type)
    }

    /// The same numbers in another type, rounded to nearest, ties to even.
    ///
    /// - Throws: ``UserFacingError`` when there is no such conversion.
    public func cast(to target: ElementType) throws(UserFacingError) -> TensorTree {
        if target == type { return self }
        guard FloatConversion.isKnown(from: type, to: target) else { throw .cannotCast(summary, to: target) }
        if case .made(let operation, let operands) = node {
            if case .zeros = operation { return try .zeros(target, shape: shape) }
            if operation.keepsElements {
                var casts: [TensorTree] = []
                for operand in operands { casts.append(try operand.cast(to: target)) }
                return try .made(operation, of: casts)
            }
        }
        return try TensorTree(.made(.cast(target), of: [self]), type: target, shape: shape)
    }
}

// MARK: - Undoing what was done

extension TensorTree {
    /// The tensor that some rows of joined ones are, when they are one of these as it is.
    private func operand(at range: Range<Int>) -> TensorTree? {
        guard case .made(.joined, let operands) = node else { return nil }
        var start = 0
        for operand in operands {
            let end = start + (operand.shape.first ?? 0)
            if start..<end == range { return operand }
            start = end
        }
        return nil
    }

    /// Rows of gathered rows as rows of what those were gathered from; nil for any other tensor.
    private func gathered(_ rows: [Int32]) throws(UserFacingError) -> TensorTree? {
        if case .made(.cast(let type), let operands) = node {
            return try operands[0].gathered(rows)?.cast(to: type)
        }
        guard case .made(.derived(.gathered(let inner)), let operands) = node else { return nil }
        let sources = rows.map { inner[Int($0)] }
        if let first = sources.first.map(Int.init),
            sources.indices.allSatisfy({ Int(sources[$0]) == first + $0 })
        {
            return try operands[0].rows(first..<first + sources.count)
        }
        return try operands[0].derived(.gathered(sources))
    }
}

// MARK: - Walking trees

extension TensorTree {
    /// What follows from a tree when something is made of each leaf, and of each operation with what its operands gave.
    ///
    /// - Parameters:
    ///   - leaf: given a leaf, and the tree that it alone is.
    ///   - made: given an operation, what its operands gave, and the tree that it is at the top of.
    /// - Returns: what the whole tree gave.
    /// - Throws: what either throws.
    func fold<Result, Failure: Error>(
        leaf: (Leaf, TensorTree) throws(Failure) -> Result,
        made: (TensorOperation, [Result], TensorTree) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        switch node {
        case .leaf(let content): return try leaf(content, self)
        case .made(let operation, let operands):
            var results: [Result] = []
            results.reserveCapacity(operands.count)
            for operand in operands { results.append(try operand.fold(leaf: leaf, made: made)) }
            return try made(operation, results, self)
        }
    }

    /// Shows every leaf to a visitor, in order.
    package func forEachLeaf(_ visit: (Leaf) -> Void) {
        fold(leaf: { leaf, _ in visit(leaf) }, made: { _, _, _ in })
    }

    /// What reading all of it computes, in bytes that could be copied meanwhile; what only takes as long as copying is
    /// not counted.
    package var computation: Int {
        guard case .made(let operation, let operands) = node else { return 0 }
        let inside = operands.reduce(0) { $0 + $1.computation }
        switch operation {
        case .rows(let range): return inside * range.count / max(operands[0].shape[0], 1)
        case .derived(.sampled(let sample)):
            let width = elementCount / max(sample.count, 1)
            return inside + RowSample.work(rows: sample.count, sources: sample.range.count, width: width)
        case .interpolated: return inside + operands.reduce(0) { $0 + $1.byteCount }
        case .added(let vectors, _):
            return inside + vectors.passes * operands.reduce(0) { $0 + $1.byteCount }
        default: return inside
        }
    }

    /// The same tree with other leaves.
    func mapLeaves<Other: Sendable>(_ transform: (Leaf) -> Other) -> TensorTree<Other> {
        fold { leaf, tree in
            TensorTree<Other>(
                .leaf(transform(leaf)), name: tree.name, type: tree.type, shape: tree.shape,
                elementCount: tree.elementCount, byteCount: tree.byteCount)
        } made: { operation, operands, tree in
            TensorTree<Other>(
                .made(operation, of: operands), type: tree.type, shape: tree.shape,
                elementCount: tree.elementCount, byteCount: tree.byteCount)
        }
    }

    /// The same operations done to other tensors.
    ///
    /// - Parameter replacement: given a leaf, and the tree that it alone is. Gives a tree of the same type and shape, or
    ///   nil when nothing can stand in the leaf's place.
    /// - Returns: the new tree; nil when a leaf has no replacement.
    /// - Throws: what `replacement` throws.
    func replacingLeaves<Other: Sendable, Failure: Error>(
        _ replacement: (Leaf, TensorTree) throws(Failure) -> TensorTree<Other>?
    ) throws(Failure) -> TensorTree<Other>? {
        try fold { (leaf, tree) throws(Failure) -> TensorTree<Other>? in
            let new = try replacement(leaf, tree)
            precondition(
                new.map { $0.type == tree.type && $0.shape == tree.shape } ?? true,
                "a leaf's replacement has its type and shape")
            return new
        } made: { (operation, operands, _) throws(Failure) -> TensorTree<Other>? in
            let known = operands.compactMap(\.self)
            guard known.count == operands.count else { return nil }
            guard let new = try? TensorTree<Other>.made(operation, of: known) else {
                preconditionFailure("what could be done to a tensor can be done to one of its type and shape")
            }
            return new
        }
    }

    /// The parts of the operands that some of the bytes are, as they are; nil where bytes have to be made.
    func operandParts(_ bytes: Range<Int>) -> [(tensor: TensorTree, bytes: Range<Int>)]? {
        guard case .made(let operation, let operands) = node else { return nil }
        switch operation {
        case .joined:
            var parts: [(tensor: TensorTree, bytes: Range<Int>)] = []
            var start = 0
            for operand in operands {
                let wanted = bytes.clamped(to: start..<start + operand.byteCount)
                if !wanted.isEmpty {
                    parts.append((operand, wanted.lowerBound - start..<wanted.upperBound - start))
                }
                start += operand.byteCount
            }
            return parts
        case .rows(let rows):
            let start = operands[0].byteOffset(ofRow: rows.lowerBound)
            return [(operands[0], start + bytes.lowerBound..<start + bytes.upperBound)]
        case .reshaped: return [(operands[0], bytes)]
        default: return nil
        }
    }

    /// Where a row begins, in bytes from the tensor's start.
    func byteOffset(ofRow row: Int) -> Int {
        guard let height = shape.first, height > 0 else { return 0 }
        return row * (elementCount / height) * type.bits / 8
    }
}
