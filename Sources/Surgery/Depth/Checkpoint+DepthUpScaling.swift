public import Formats
internal import Models

/// What Depth Up-Scaling is asked to do.
public struct DepthUpScaling: Sendable, Equatable {
    /// How many layers the user believes the model has; nil for whatever it has.
    public var from: Int?
    /// How many layers the result is to have.
    public var to: Int
    /// How many of the first layers to keep; nil for half of the result.
    public var keepFirst: Int?
    /// How many of the last layers to keep; nil for half of the result.
    public var keepLast: Int?

    /// A request.
    public init(from: Int? = nil, to: Int, keepFirst: Int? = nil, keepLast: Int? = nil) {
        self.from = from
        self.to = to
        self.keepFirst = keepFirst
        self.keepLast = keepLast
    }
}

extension Checkpoint {
    /// The model with more layers, by Depth Up-Scaling (arXiv 2312.15166).
    ///
    /// - Parameter request: how many layers, and which.
    /// - Returns: the result, not written yet.
    /// - Throws: ``UserFacingError`` when the model has other layers than the request says, the request can't be
    ///   reached, or the configuration can't follow. Nothing has been written then.
    public func depthUpScaled(
        _ request: DepthUpScaling
    ) throws(UserFacingError) -> RearrangedCheckpoint {
        let count = try layers().count
        if let from = request.from, from != count {
            throw .otherLayerCount(path: path, asked: from, found: count)
        }
        let plan = try LayerPlan.depthUpScaling(
            from: count, to: request.to, keepFirst: request.keepFirst, keepLast: request.keepLast)
        return try rearranged(plan, operation: "dus")
    }
}
