public import Formats
internal import Models

/// Any arrangement of a model's layers: repeated, left out, turned round, scaled, or without effect.
public struct LayerArrangement: SurgeryOperation {
    /// `layers`.
    public static let name = "layers"
    /// What it takes.
    public static let parameterList = [
        OperationParameter("plan", .string, "the layers of the result, as in 0-23,8-31", isRequired: true)
    ]

    /// The layers, as ``LayerPlan/init(_:of:)`` reads them.
    public var plan: String

    private enum CodingKeys: String, CodingKey { case plan }

    /// A request.
    public init(plan: String) { self.plan = plan }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        let plan = try LayerPlan(plan, of: source.layers().count)
        var outcome = try source.rearranged(plan)
        outcome.suffix = "layers-\(plan.count)"
        return outcome
    }
}
