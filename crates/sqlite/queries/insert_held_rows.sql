-- As many rows as the program binds at a time, so that what a statement costs is paid once for them.
-- Nothing is kept of a batch of which one row is refused, so that SQLite need not be able to take a
-- row back alone: that would cost as much as the row.
INSERT OR ROLLBACK INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked,
  hold_seq, created_at, updated_at, version, billed_fen, state, queue, due_at)
VALUES
  (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?9, ?10, ?11, ?12, ?13, ?14, ?15, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?16, ?17, ?18, ?19, ?20, ?21, ?22, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?23, ?24, ?25, ?26, ?27, ?28, ?29, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?30, ?31, ?32, ?33, ?34, ?35, ?36, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?37, ?38, ?39, ?40, ?41, ?42, ?43, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?44, ?45, ?46, ?47, ?48, ?49, ?50, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?51, ?52, ?53, ?54, ?55, ?56, ?57, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?58, ?59, ?60, ?61, ?62, ?63, ?64, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?65, ?66, ?67, ?68, ?69, ?70, ?71, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?72, ?73, ?74, ?75, ?76, ?77, ?78, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?79, ?80, ?81, ?82, ?83, ?84, ?85, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?86, ?87, ?88, ?89, ?90, ?91, ?92, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?93, ?94, ?95, ?96, ?97, ?98, ?99, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?100, ?101, ?102, ?103, ?104, ?105, ?106, ?1, ?1, 1, 0, 'requested', 'assess', ?1),
  (?107, ?108, ?109, ?110, ?111, ?112, ?113, ?1, ?1, 1, 0, 'requested', 'assess', ?1)
