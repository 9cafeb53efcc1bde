/// What a teacher makes of some rows, and how much of it counts.
///
/// R rows of the model have V tokens, N rows of the teacher U.
public struct Lesson<Buffer: EngineBuffer> {
    /// The teacher's logits: (N, U).
    public var logits: Tensor<Buffer>
    /// U.
    public var columns: Int
    /// Which of them each row of the model has, negative for none: (R).
    public var places: Tensor<Buffer>
    /// The teacher's token for each of the model's, negative where it has none: (V).
    public var tokens: Tensor<Buffer>
    /// α: the share of the teacher in the loss of a row that it teaches.
    public var weight: Float
    /// T: what both models' logits are divided by.
    public var temperature: Float
}
