# Writes the public data sets that the reference scripts of survival analysis and their tests share.
# Run in this folder: Rscript survival_data.R
library(survival)
write <- function(frame, name) {
  numbers <- vapply(frame, is.numeric, TRUE)
  frame[numbers] <- lapply(frame[numbers], function(x) ifelse(is.na(x), "", sprintf("%.17g", x)))
  write.csv(frame, paste0(name, ".csv"), row.names = FALSE, quote = FALSE, na = "")
}
heart$transplant <- as.integer(heart$transplant == "1")
write(heart, "heart")
write(mgus2, "mgus2")
# Serial measurements of primary biliary cirrhosis as intervals between visits; death is the event, transplant another.
p <- pbcseq[order(pbcseq$id, pbcseq$day), ]
last <- !duplicated(p$id, fromLast = TRUE)
p$stop <- ifelse(last, p$futime, c(p$day[-1], NA))
p$death <- as.integer(last & p$status == 2)
p$cause <- ifelse(last, p$status, 0)
p <- p[p$stop > p$day, ]
write(p[c("id", "day", "stop", "death", "cause", "trt", "age", "sex", "edema", "bili", "albumin", "protime", "stage")],
      "pbcseq")
