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

/// Why a model can't be up-scaled.
public enum DepthUpScalingError: UserFacingError, Equatable {
    /// The layers asked for can't be planned.
    case plan(LayerPlanError)
    /// The model can't follow the plan.
    case model(DepthError)

    /// What is wrong, in one sentence.
    public var description: String {
        switch self {
        case .plan(let error): error.description
        case .model(let error): error.description
        }
    }

    /// Whose fault it is.
    public var fault: Fault {
        switch self {
        case .plan(let error): error.fault
        case .model(let error): error.fault
        }
    }
}

extension Checkpoint {
    /// The model with more layers, by Depth Up-Scaling (arXiv 2312.15166).
    ///
    /// - Parameter request: how many layers, and which.
    /// - Returns: the result, not written yet.
    /// - Throws: ``DepthUpScalingError`` when the model has other layers than the request says, the request can't be
    ///   reached, or the configuration can't follow. Nothing has been written then.
    public func depthUpScaled(
        _ request: DepthUpScaling
    ) throws(DepthUpScalingError) -> RearrangedCheckpoint {
        let count: Int
        do { count = try layers().count } catch { throw .model(error) }
        if let from = request.from, from != count {
            throw .model(.from(path: path, asked: from, found: count))
        }
        let plan: LayerPlan
        do {
            plan = try .depthUpScaling(
                from: count, to: request.to, keepFirst: request.keepFirst, keepLast: request.keepLast)
        } catch {
            throw .plan(error)
        }
        do { return try rearranged(plan, operation: "dus") } catch { throw .model(error) }
    }
}
