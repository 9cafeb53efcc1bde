/// A tensor that is not read yet: where its bytes come from, and what is done to them on the way.
///
/// Building one reads nothing. Expressions are kept in a form in which as much as possible stays a plain
/// copy: a cast to the type that is there vanishes, and a cast of joined tensors casts each.
public struct TensorExpression: Sendable {
    /// What an expression is made of.
    public indirect enum Node: Sendable {
        /// Bytes from elsewhere, as they are.
        case stored(any TensorStorage)
        /// Nothing but zeros.
        case zeros
        /// Tensors one below the other along the first axis.
        case joined([TensorExpression])
        /// Some of another tensor's rows: a part of its first axis.
        case rows(of: TensorExpression, Range<Int>)
        /// Another tensor's numbers in this type, rounded to nearest, ties to even.
        case cast(TensorExpression)
        /// Another tensor with its last two axes exchanged.
        case transposed(TensorExpression)
        /// Another tensor's elements in this shape.
        case reshaped(TensorExpression)
        /// Rows made of another tensor's rows.
        case derived(DerivedRows)
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

    private init(_ node: Node, type: ElementType, shape: [Int]) throws(TensorError) {
        guard let elements = ElementType.elementCount(shape: shape),
            let bytes = type.byteCount(elements: elements)
        else { throw .uncountable(type: type, shape: shape) }
        self.init(node, type: type, shape: shape, elementCount: elements, byteCount: bytes)
    }

    private init(_ node: Node, type: ElementType, shape: [Int], elementCount: Int, byteCount: Int) {
        self.node = node
        self.type = type
        self.shape = shape
        self.elementCount = elementCount
        self.byteCount = byteCount
    }

    /// What error messages call it: the name of what it is stored as, else its type and shape alone.
    public var summary: TensorDescription {
        var name = ""
        if case .stored(let storage) = node { name = storage.name }
        return TensorDescription(name: name, type: type, shape: shape)
    }
}

// MARK: - Making expressions

extension TensorExpression {
    /// Bytes from elsewhere, as they are.
    ///
    /// - Throws: ``TensorError/uncountable(type:shape:)`` when no byte count fits the shape.
    public static func stored(_ storage: any TensorStorage) throws(TensorError) -> TensorExpression {
        try TensorExpression(.stored(storage), type: storage.type, shape: storage.shape)
    }

    /// Nothing but zeros.
    ///
    /// - Throws: ``TensorError/uncountable(type:shape:)`` when no byte count fits the shape.
    public static func zeros(_ type: ElementType, shape: [Int]) throws(TensorError) -> TensorExpression {
        try TensorExpression(.zeros, type: type, shape: shape)
    }

    /// Zeros of the same type and shape.
    public func zeroed() -> TensorExpression {
        TensorExpression(.zeros, type: type, shape: shape, elementCount: elementCount, byteCount: byteCount)
    }

    /// Tensors one below the other along the first axis.
    ///
    /// - Parameter parts: at least one; all of one type, and of one shape but for the first dimension.
    /// - Returns: a tensor with the rows of all, in order.
    /// - Throws: ``TensorError/unjoinable(first:other:)``.
    public static func joined(_ parts: [TensorExpression]) throws(TensorError) -> TensorExpression {
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
        return try TensorExpression(.joined(parts), type: first.type, shape: [rows] + first.shape.dropFirst())
    }

    /// A part of the first axis.
    ///
    /// - Throws: ``TensorError/rows(_:of:)`` when it lies outside, or begins or ends inside a byte.
    public func rows(_ range: Range<Int>) throws(TensorError) -> TensorExpression {
        guard let height = shape.first, range.lowerBound >= 0, range.upperBound <= height,
            (range.lowerBound * (elementCount / max(height, 1)) * type.bits) % 8 == 0,
            let part = try? TensorExpression(
                .rows(of: self, range), type: type, shape: [range.count] + shape.dropFirst())
        else { throw .rows(range, of: summary) }
        return range.count == height ? self : part
    }

    /// The same elements in another shape.
    ///
    /// - Throws: ``TensorError/reshape(_:to:)`` when that has another number of elements.
    public func reshaped(to shape: [Int]) throws(TensorError) -> TensorExpression {
        if shape == self.shape { return self }
        guard ElementType.elementCount(shape: shape) == elementCount else {
            throw .reshape(summary, to: shape)
        }
        return TensorExpression(
            .reshaped(self), type: type, shape: shape, elementCount: elementCount, byteCount: byteCount)
    }

    /// The tensor with its last two axes exchanged: a matrix (R, C) becomes (C, R).
    ///
    /// - Throws: ``TensorError/transpose(_:)`` when there are fewer than two axes, or an element is no whole byte.
    public func transposed() throws(TensorError) -> TensorExpression {
        guard shape.count >= 2, type.byteSize != nil else { throw .transpose(summary) }
        if case .transposed(let original) = node { return original }
        var turned = shape
        turned.swapAt(shape.count - 2, shape.count - 1)
        return TensorExpression(
            .transposed(self), type: type, shape: turned, elementCount: elementCount, byteCount: byteCount)
    }

    /// Rows made of this tensor's rows, the first axis being what a rule makes; the numbers are of the same type.
    ///
    /// - Throws: ``TensorError/derivation(_:rule:)`` when the rule takes rows that are not there, or has to compute with
    ///   numbers that have no fraction.
    public func derived(_ rule: RowRule) throws(TensorError) -> TensorExpression {
        guard let height = shape.first, rule.fits(height: height), type.byteSize != nil else {
            throw .derivation(summary, rule: rule.name)
        }
        if case .gathered = rule {
        } else if !FloatConversion.isKnown(from: .f64, to: type) {
            throw .derivation(summary, rule: rule.name)
        }
        return try TensorExpression(
            .derived(DerivedRows(base: self, rule: rule)), type: type, shape: [rule.count] + shape.dropFirst()
        )
    }

    /// The same numbers in another type, rounded to nearest, ties to even.
    ///
    /// - Throws: ``TensorError/cast(_:to:)`` when there is no such conversion.
    public func cast(to target: ElementType) throws(TensorError) -> TensorExpression {
        if target == type { return self }
        guard FloatConversion.isKnown(from: type, to: target) else { throw .cast(summary, to: target) }
        switch node {
        case .zeros:
            return try .zeros(target, shape: shape)
        case .joined(let parts):
            var casts: [TensorExpression] = []
            for part in parts { casts.append(try part.cast(to: target)) }
            return try .joined(casts)
        case .rows(let whole, let range): return try whole.cast(to: target).rows(range)
        case .transposed(let original): return try original.cast(to: target).transposed()
        case .reshaped(let original): return try original.cast(to: target).reshaped(to: shape)
        case .stored, .cast, .derived: return try TensorExpression(.cast(self), type: target, shape: shape)
        }
    }
}
